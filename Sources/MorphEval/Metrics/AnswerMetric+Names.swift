extension AnswerMetric {
    /// Every metric by which a benchmark of this package is scored.
    public static let all: [AnswerMetric] = BenchmarkRegistry.standard.benchmarks.flatMap(\.scoring.metrics)

    /// The metric of a name, if there is one.
    public static func named(_ name: String) -> AnswerMetric? { all.first { $0.name == name } }
}
