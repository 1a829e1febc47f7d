extension AnswerMetric {
    /// F1 over the words that jieba finds, punctuation dropped: LongBench's `qa_f1_zh_score`.
    public static let chineseQuestionF1 = AnswerMetric("qa_f1_zh_score", segmentsChinese: true) { comparison in
        TokenF1.score(normalized(comparison.predictionWords), normalized(comparison.referenceWords))
    }

    private static func normalized(_ words: [CodePoints]) -> [CodePoints] {
        words.map { $0.normalizedChineseAnswer() }.filter { !$0.isEmpty }
    }
}
