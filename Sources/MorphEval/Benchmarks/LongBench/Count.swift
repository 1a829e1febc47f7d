extension AnswerMetric {
    /// The share of the numbers in the prediction that equal the reference: LongBench's `count_score`.
    public static let count = AnswerMetric("count_score") { comparison in
        NumberShare.score(comparison.prediction, of: comparison.reference)
    }
}
