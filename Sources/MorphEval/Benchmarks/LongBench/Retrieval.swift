extension AnswerMetric {
    /// The share of the numbers in the prediction that name the right paragraph: LongBench's `retrieval_score`.
    public static let retrieval = AnswerMetric("retrieval_score") { comparison in
        NumberShare.score(comparison.prediction, of: comparison.reference.firstNumber(after: "Paragraph "))
    }

    /// The same for "段落12": LongBench's `retrieval_zh_score`.
    public static let chineseRetrieval = AnswerMetric("retrieval_zh_score") { comparison in
        NumberShare.score(comparison.prediction, of: comparison.reference.firstNumber(after: "段落"))
    }
}

/// The share of the numbers in a text that are the expected one, compared as text ("07" is not "7").
enum NumberShare {
    static func score(_ prediction: CodePoints, of expected: CodePoints?) -> Double? {
        guard let expected else { return nil }
        let numbers = prediction.digitRuns()
        guard !numbers.isEmpty else { return 0 }
        return Double(numbers.count { $0 == expected }) / Double(numbers.count)
    }
}
