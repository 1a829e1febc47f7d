package import MorphKV

/// A GGUF model on this machine as judge, with a full cache.
package struct LocalJudge: Judge {
    private let model: Model
    private let threads: Int?
    package let identity: String
    package let concurrency = 1

    /// Takes a model.
    ///
    /// - Throws: ``EvaluationError`` if its file cannot be read.
    package init(_ model: Model, threads: Int?) throws {
        self.model = model
        self.threads = threads
        identity = "gguf:\(try Model.fileDigest(of: model.url))"
    }

    package func answer(_ question: JudgeQuestion) async throws -> String {
        let session = try SessionModel(
            model, cache: .full, sampling: SamplingOptions(temperature: question.temperature), threads: threads)
        // A model without a template is asked with the plain question, which ends where the answer begins.
        let frame = (try? session.chatFrame(system: nil)) ?? ChatFrame(head: "", tail: "")
        let tokens = try session.tokens(of: frame.head + question.prompt + frame.tail, isBeginning: true)
        let request = EvaluationRequest(
            questions: [tokens], maximumNewTokens: question.maximumTokens,
            seed: UInt32(truncatingIfNeeded: question.attempt))
        let answer = try await session.answer(request) { _ in }
        return answer.parts.first?.text ?? ""
    }
}
