extension AnswerMetric {
    /// The share of the needle's words that the answer holds, in lower case, as the needle-in-a-haystack plots of
    /// FranxYao/Long-Context-Data-Engineering and KVzip count it.
    ///
    /// The words found are counted once and divided by all words, so a needle that repeats a word does not reach 1.
    public static let needleRecall = AnswerMetric("niah_recall") { comparison in
        let expected = comparison.reference.lowercased().words()
        guard !expected.isEmpty else { return nil }
        let found = Set(expected).intersection(comparison.prediction.lowercased().words())
        return Double(found.count) / Double(expected.count)
    }
}
