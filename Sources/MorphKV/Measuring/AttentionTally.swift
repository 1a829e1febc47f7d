/// Sums over steps of the shares of one KV head's attention that fall on what one policy holds.
struct AttentionTally {
    /// The most entries that were held at a step.
    private(set) var entries = 0
    private var entriesOfText = 0
    private var attention = StepComparison.none
    private var kept = StepComparison.none
    private var best = StepComparison.none
    private var random = StepComparison.none

    /// Notes that a text begins.
    mutating func beginText() { entriesOfText = 0 }

    /// Takes a step.
    ///
    /// - Parameter ends: for each entry the first token that attended without it.
    mutating func add(_ step: inout StepComparison, ends: [Int32]) {
        let query = step.query
        let held = step.attention { ends[$0] > query }
        entriesOfText = max(entriesOfText, held.count)
        entries = max(entries, entriesOfText)
        let (best, random) = step.bounds(entries: entriesOfText)
        for index in AttentionRecall.distances.indices {
            attention[index] += step.all[index]
            kept[index] += held.sums[index]
            self.best[index] += best[index]
            self.random[index] += random[index]
        }
    }

    func shares(steps: Int) -> AttentionRecall.Shares {
        func mean(_ sums: [Double]) -> [Double] { sums.map { $0 / Double(steps) } }
        return AttentionRecall.Shares(
            attention: mean(attention), kept: mean(kept), best: mean(best), random: mean(random))
    }
}
