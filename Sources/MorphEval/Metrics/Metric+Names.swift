extension Metric {
    /// Every metric that compares one prediction with one reference.
    public static let all: [Metric] = longBench + squad + gsm8k + [.needleRecall] + SharedContextMetric.all

    /// The metric of a name, if there is one.
    public static func named(_ name: String) -> Metric? { all.first { $0.name == name } }

    /// The metrics of LongBench's `metrics.py`.
    public static let longBench: [Metric] = [
        .questionF1, .chineseQuestionF1, .rougeL, .chineseRougeL, .classification, .retrieval, .chineseRetrieval,
        .count, .codeSimilarity,
    ]

    /// The metrics of SQuAD's `evaluate-v1.1.py`; the first is the one reported where no other is asked for.
    public static let squad: [Metric] = [.squadF1, .squadExactMatch]

    /// The metrics of GSM8K; the first is the one reported where no other is asked for.
    public static let gsm8k: [Metric] = [.gsm8kFlexible, .gsm8kStrict]
}
