extension AnswerMetric {
    /// F1 over the words of normalized answers: LongBench's `qa_f1_score`.
    public static let questionF1 = AnswerMetric("qa_f1_score") { comparison in
        TokenF1.score(
            comparison.prediction.normalizedAnswer().words(), comparison.reference.normalizedAnswer().words())
    }
}
