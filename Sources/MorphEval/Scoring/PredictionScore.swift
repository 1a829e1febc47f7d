/// The score of one prediction file.
public struct PredictionScore: Sendable, Hashable, Codable {
    /// The dataset, for instance "hotpotqa"; for benchmarks without datasets their name.
    public let dataset: String
    /// The name of the metric.
    public let metric: String
    /// The number of samples.
    public let n: Int
    /// The mean over the samples in percent, or `nil` for an empty file.
    public let score: Double?
    /// The score of each line of the file in order, the mean where a line holds several questions: from 0 to 1, but in
    /// percent for LongWriter and LongGenBench, whose own code gives percentages.
    public let perSample: [Double]

    /// Creates a result.
    ///
    /// - Parameter inPercent: Whether the scores of samples are percentages and not shares of 1.
    init(dataset: String, metric: String, perSample: [Double], inPercent: Bool) {
        self.dataset = dataset
        self.metric = metric
        self.n = perSample.count
        let scale = inPercent ? 1.0 : 100
        score = perSample.isEmpty ? nil : scale * perSample.reduce(0, +) / Double(perSample.count)
        self.perSample = perSample
    }

    /// Writes all five keys; a missing score is null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(dataset, forKey: .dataset)
        try container.encode(metric, forKey: .metric)
        try container.encode(n, forKey: .n)
        try container.encode(score, forKey: .score)
        try container.encode(perSample, forKey: .perSample)
    }
}
