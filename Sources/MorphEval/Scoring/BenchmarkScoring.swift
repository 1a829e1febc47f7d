/// How the predictions for a benchmark are scored.
public struct BenchmarkScoring: Sendable {
    /// The metrics that a user can choose among by name, the usual one first; empty if there is no choice.
    public let metrics: [AnswerMetric]
    /// Whether scores of samples are percentages, as the benchmark's own code gives them, and not shares of 1.
    public let givesPercentages: Bool
    /// Scores the lines of a file, in their order.
    let scores: @Sendable (PredictionSet) async throws -> (metric: String, perSample: [Double])
    /// What a report shows beside that number: for each kind of check what each line contributes, in percent.
    var parts: (@Sendable ([JSONRecord]) throws -> [(name: String, shares: [EvaluationScore.Share])])?

    /// Scores in a way of its own.
    ///
    /// - Parameters:
    ///   - metrics: The metrics that a user can choose among by name, the usual one first.
    ///   - givesPercentages: Whether scores are percentages and not shares of 1.
    ///   - scores: The name of the number, and one number for each line of the file in order.
    public init(
        metrics: [AnswerMetric] = [], givesPercentages: Bool = false,
        _ scores: @escaping @Sendable (PredictionSet) async throws -> (metric: String, perSample: [Double])
    ) {
        self.metrics = metrics
        self.givesPercentages = givesPercentages
        self.scores = scores
    }

    /// For each question the best score over the answers that count as right, for each line the mean of its questions.
    ///
    /// A line has `pred` and `answers`, or `preds` and one entry of `answers` for each.
    ///
    /// - Parameters:
    ///   - metric: The usual metric.
    ///   - others: Metrics that can be asked for by name.
    public static func bestAnswer(by metric: AnswerMetric, or others: [AnswerMetric] = []) -> BenchmarkScoring {
        BenchmarkScoring(metrics: [metric] + others) { predictions in
            let metric = try predictions.metric(default: metric)
            let lines = try predictions.records.map { try $0.answeredQuestions() }
            var scores = try await predictions.bestScores(of: lines.flatMap(\.self), by: metric)[...]
            let means = lines.map { line in
                defer { scores = scores.dropFirst(line.count) }
                return mean(Array(scores.prefix(line.count)))
            }
            return (metric.name, means)
        }
    }

    /// The mean, and 0 without scores.
    static func mean(_ scores: [Double]) -> Double {
        scores.isEmpty ? 0 : scores.reduce(0, +) / Double(scores.count)
    }
}
