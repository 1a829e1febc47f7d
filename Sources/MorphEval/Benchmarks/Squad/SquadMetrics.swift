extension AnswerMetric {
    /// Whether the normalized answers are equal: SQuAD's `exact_match_score`.
    public static let squadExactMatch = AnswerMetric("squad_em") { comparison in
        comparison.prediction.normalizedAnswer() == comparison.reference.normalizedAnswer() ? 1 : 0
    }

    /// F1 over the words of normalized answers: SQuAD's `f1_score`.
    public static let squadF1 = AnswerMetric("squad_f1") { AnswerMetric.questionF1.score($0) }
}
