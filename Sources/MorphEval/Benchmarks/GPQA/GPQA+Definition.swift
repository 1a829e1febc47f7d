internal import Foundation

extension BenchmarkDefinition {
    /// GPQA as simple-evals asks and scores it. `diamond` is one round, `diamond-x4` the four rounds that it asks by default, each with
    /// the choices in another order; the other parts are asked once.
    public static let gpqa = BenchmarkDefinition(
        name: "gpqa", summary: "198 questions of graduate level (diamond); gpqa_diamond.csv or a folder with it",
        datasets: ["diamond", "diamond-x4", "main", "extended"], defaultDataset: "diamond", scoring: .gpqa
    ) { request, _ in
        let part = request.dataset.split(separator: "-")[0]
        let file = try BenchmarkFolder.file(["gpqa_\(part).csv", "dataset/gpqa_\(part).csv"], at: request.data)
        let rounds = request.dataset.hasSuffix("-x4") ? 4 : 1
        let samples = try GPQA.samples(at: file, rounds: rounds)
        return samples.enumerated().map { place, sample in
            let (round, index) = place.quotientAndRemainder(dividingBy: max(1, samples.count / rounds))
            return EvaluationSample(
                id: "\(part)/\(index)" + (round > 0 ? "#\(round + 1)" : ""),
                prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: true), maximumNewTokens: 2048,
                answerField: .response, fields: [JSONMember](["answer": .string(sample.answer)]))
        }
    }
}

extension BenchmarkScoring {
    /// Whether the letter is right; a line has `response` and `answer`.
    static let gpqa = BenchmarkScoring { predictions in
        let scores = try predictions.records.map { record in
            let choice = GPQA.choice(in: CodePoints(try record.text("response")))
            return choice.map(String.init) == (try record.text("answer")) ? 1.0 : 0
        }
        return ("accuracy", scores)
    }
}
