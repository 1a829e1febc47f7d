internal import Foundation

extension BenchmarkDefinition {
    /// The logbook: prompts that are generated, for the model that comes with the command. The dataset is their seed.
    public static let logbook: BenchmarkDefinition = {
        var benchmark = BenchmarkDefinition(
            name: "logbook",
            summary: "back-references, rules, distractors and sums; generated, the dataset is the seed",
            datasets: [], defaultDataset: "8", scoring: .logbook
        ) { request, _ in
            guard let seed = UInt32(request.dataset) else {
                throw EvaluationError(.name, "'\(request.dataset)' is not a seed of logbooks, a number below 2^32")
            }
            return (0..<prompts).map { index in
                let task = LogbookTask(seed: seed, index: UInt32(index))
                return EvaluationSample(
                    id: "\(seed)/\(index)", prompt: EvaluationPrompt(task.prompt, usesChatTemplate: false),
                    maximumNewTokens: task.maximumNewTokens, answerField: .response, fields: task.fields)
            }
        }
        benchmark.isGenerated = true
        return benchmark
    }()

    /// How many prompts a seed has.
    private static let prompts = 200
}

extension BenchmarkScoring {
    /// The share of a logbook's checks that its answer passed, and over all answers the share of each kind.
    static let logbook: BenchmarkScoring = {
        var scoring = BenchmarkScoring { predictions in
            ("checks", try logbookScores(predictions.records).map(\.share))
        }
        scoring.parts = { records in
            let scores = try logbookScores(records)
            return LogbookScore.CheckKind.allCases.map { kind in
                let shares = scores.map {
                    EvaluationScore.Share(sum: 100 * Double($0.passed(kind)), weight: Double($0.checks(kind)))
                }
                return (name: kind.rawValue, shares: shares)
            }
        }
        return scoring
    }()

    private static func logbookScores(_ records: [JSONRecord]) throws -> [LogbookScore] {
        try records.map { try LogbookScore($0.text("response"), to: LogbookTask($0)) }
    }
}
