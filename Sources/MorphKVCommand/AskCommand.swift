internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answers questions about a text that `morphkv compress` saved.",
        discussion: "Every question is asked on its own; the saved context stays as it is.")

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var sampling: SamplingFlags

    @Option(help: "The saved context.", completion: .file(extensions: ["gguf"]))
    var context: String

    @Argument(help: "The questions.")
    var questions: [String]

    @Option(help: "What the cache of a question and its answer keeps, as `morphkv policies` lists them.")
    var policy = "full"

    @OptionGroup var attention: AttentionFlags

    @OptionGroup var answerFlags: AnswerFlags

    @Flag(help: "Ask in the model's chat format; for contexts that were made with --chat.")
    var chat = false

    @Option(help: "Questions that are answered at the same time, which share the threads.")
    var parallel = 1

    @Flag(help: "Print one JSON object per question.")
    var json = false

    /// An answer, and what `--json` prints.
    fileprivate struct Answer: Encodable, Sendable {
        var question: String
        var answer = ""
        var tokens = 0
        var secondsToFirstToken = 0.0
        var tokensPerSecond = 0.0
        /// Bytes of the question's own entries.
        var cacheBytes = 0
    }

    func validate() throws {
        guard parallel >= 1 else { throw ValidationError("--parallel \(parallel): 1 or more is needed") }
    }

    func run() async throws {
        let model = try modelFlags.load()
        var saved = try CompressedContext(contentsOf: URL(fileURLWithPath: context), model: model)
        saved.attention = try attention.path()
        let context = saved
        let policy = try PolicyRegistry.standard.policy(policy)
        let frame = chat ? try model.tokenizer?.contextFrame() : nil
        let options = GenerationOptions(
            maxTokens: answerFlags.length.maxTokens ?? 256, sampling: sampling.options, stop: answerFlags.stop)
        let threads = max(1, modelFlags.threadCount / min(parallel, questions.count))
        var notice = LengthNotice()
        // The order of the answers is that of the questions, whichever is done first.
        for start in stride(from: 0, to: questions.count, by: parallel) {
            let group = questions[start..<min(start + parallel, questions.count)]
            let answers = try await withThrowingTaskGroup(of: (Int, Session, Answer).self) { tasks in
                for (index, question) in group.enumerated() {
                    tasks.addTask {
                        let session = try Session(context, policy: policy, threads: threads)
                        let text = frame?.framed(question) ?? question
                        return (index, session, try await Self.answer(session, question, text, options))
                    }
                }
                return try await tasks.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }
            }
            for (_, session, answer) in answers {
                try show(answer)
                try await notice.check(session)
            }
        }
    }

    private static func answer(
        _ session: Session, _ question: String, _ text: String, _ options: GenerationOptions
    ) async throws -> Answer {
        var answer = Answer(question: question)
        let start = ContinuousClock.now
        var first: ContinuousClock.Instant?
        for try await piece in session.generate(text, options: options) {
            if first == nil { first = .now }
            answer.text(piece)
        }
        answer.secondsToFirstToken = ((first ?? .now) - start) / .seconds(1)
        let seconds = (ContinuousClock.now - (first ?? start)) / .seconds(1)
        answer.tokensPerSecond = answer.tokens > 1 && seconds > 0 ? Double(answer.tokens - 1) / seconds : 0
        answer.cacheBytes = await session.statistics.allocatedBytes
        return answer
    }

    private func show(_ answer: Answer) throws {
        if json { return try Output.printJSON(answer) }
        if questions.count > 1 { try Output.write("> \(answer.question)\n") }
        try Output.write(answer.answer + "\n")
    }
}

extension AskCommand.Answer {
    fileprivate mutating func text(_ piece: Generation.Piece) {
        answer += piece.text
        if piece.token != nil { tokens += 1 }
    }
}
