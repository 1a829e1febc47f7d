extension Metric {
    /// The share of the numbers in the prediction that equal the reference: LongBench's `count_score`.
    public static let count = Metric("count_score") { comparison in
        NumberShare.score(comparison.prediction, of: comparison.reference)
    }
}
