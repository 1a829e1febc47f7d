/// LongGenBench's accuracies from the verdicts of a judge.
public struct LongGenBenchAccuracy: Sendable, Hashable, Codable {
    /// The share of yes among the questions about single blocks, from 0 to 1.
    public let once: Double
    /// The same for runs of blocks.
    public let range: Double
    /// The same for recurring blocks.
    public let periodic: Double

    /// The mean of the three, which the paper reports.
    public var average: Double { (once + range + periodic) / 3 }

    /// Creates the accuracies of a whole run: all questions of a group count alike, whichever task they belong to.
    ///
    /// - Parameter verdicts: Whether the judge said yes, for each question of each group; a group without questions
    ///   has accuracy 0, as published.
    public init(verdicts: [LongGenBenchSample.Group: [Bool]]) {
        func share(_ group: LongGenBenchSample.Group) -> Double {
            guard let verdicts = verdicts[group], !verdicts.isEmpty else { return 0 }
            return Double(verdicts.count(where: \.self)) / Double(verdicts.count)
        }
        once = share(.once)
        range = share(.range)
        periodic = share(.periodic)
    }
}
