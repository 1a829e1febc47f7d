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
            let share = Self.share(verdicts[group] ?? [])
            return share.weight > 0 ? share.sum / share.weight : 0
        }
        once = share(.once)
        range = share(.range)
        periodic = share(.periodic)
    }

    /// What some questions of one group contribute to its accuracy: the number of yes, and that of questions.
    static func share(_ verdicts: [Bool]) -> EvaluationScore.Share {
        EvaluationScore.Share(sum: Double(verdicts.count(where: \.self)), weight: Double(verdicts.count))
    }
}
