/// The lines of a file of predictions, and what scoring them may need.
public struct PredictionSet: Sendable {
    /// The lines, each one JSON object.
    public let records: [JSONRecord]
    /// The dataset that the predictions are for.
    public let dataset: String
    /// The metric that the user asked for, if any.
    let metricName: String?
    /// The metrics that the benchmark offers.
    let metrics: [AnswerMetric]
    let segmenter: any ChineseSegmenter
    let finder: any FunctionFinder

    /// The metric that the user asked for by name, or the usual one.
    ///
    /// - Throws: ``EvaluationError`` of kind `name` that lists what there is.
    public func metric(default standard: AnswerMetric) throws -> AnswerMetric {
        guard let metricName else { return standard }
        if let metric = metrics.first(where: { $0.name == metricName }) ?? AnswerMetric.named(metricName) {
            return metric
        }
        let known = AnswerMetric.all + metrics.filter { AnswerMetric.named($0.name) == nil }
        let names = known.map(\.name).joined(separator: ", ")
        throw EvaluationError(.name, "there is no metric '\(metricName)'; the metrics are \(names)")
    }

    /// The best score of each question; all Chinese texts are segmented at once.
    func bestScores(of questions: [AnsweredQuestion], by metric: AnswerMetric) async throws -> [Double] {
        let texts = metric.segmentsChinese ? questions.flatMap { [$0.prediction] + $0.answers } : []
        let segmentation = try await Segmentation(of: texts, by: segmenter)
        return questions.map { $0.bestScore(by: metric, segmentation) }
    }
}
