internal import Foundation

/// The scores of all entries of a layer on the host, for choices among many entries at once: after a prompt, and when
/// a burst is due.
struct ScoreTable {
    /// The votes of one query for one KV head's entries: `[voters][entries]`; one voter unless each query head's vote
    /// is normalised by itself.
    typealias Votes = [[Float]]

    /// The position of each entry, per KV head, ascending.
    let positions: [[Int]]
    /// Summed weights: `[kvHead][entry]`; for rules that keep sums.
    var sums: [[Float]]
    /// Votes of single queries, by the query's position: `[kvHead]`; for rules that keep votes.
    var votes: [Int: [Votes]] = [:]

    init(positions: [[Int]]) {
        self.positions = positions
        sums = positions.map { [Float](repeating: 0, count: $0.count) }
    }

    /// Which entries stay when all but `count` per KV head must go: indices, ascending.
    ///
    /// The window and the sinks stay without question, then the best scores; equal scores: the lower position.
    ///
    /// - Parameter next: the position that the next token will have.
    func keep(_ count: Int, rule: ScoringRule, next: Int) -> [[Int]] {
        guard count < positions[0].count else { return positions.map { Array($0.indices) } }
        var scores = positions.indices.map { self.scores(of: $0, rule: rule, next: next) }
        if rule.sharesChoice {
            let total = scores.dropFirst().reduce(scores[0]) { zip($0, $1).map(+) }
            scores = Array(repeating: total, count: scores.count)
        }
        return positions.indices.map { head in
            let protected = isProtected(head, rule: rule, next: next)
            let kept = protected.indices.filter { protected[$0] }
            let others = protected.indices.filter { !protected[$0] }
            return (kept + Self.best(count - kept.count, of: others, by: scores[head])).sorted()
        }
    }

    /// The best of some entries by score; equal scores: the lower index.
    static func best(_ count: Int, of entries: [Int], by scores: [Float]) -> ArraySlice<Int> {
        entries.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }.prefix(count)
    }

    private func isProtected(_ head: Int, rule: ScoringRule, next: Int) -> [Bool] {
        positions[head].map { $0 >= next - rule.window || $0 < rule.sinks }
    }

    private func scores(of head: Int, rule: ScoringRule, next: Int) -> [Float] {
        guard case .profile(_, let fusion, let normalization) = rule.accumulation else { return sums[head] }
        let protected = isProtected(head, rule: rule, next: next)
        var fused = [Float](repeating: 0, count: protected.count)
        // In the order of the queries, so that rounding does not depend on how the dictionary is laid out.
        for query in votes.keys.sorted() {
            for (entry, vote) in combined(votes[query]![head], protected, normalization).enumerated() {
                fused[entry] = fusion == .sum ? fused[entry] + vote : max(fused[entry], vote)
            }
        }
        return fused
    }

    /// One query's vote for each entry, its voters combined.
    private func combined(_ votes: Votes, _ protected: [Bool], _ normalization: ScoringRule.Normalization) -> [Float] {
        guard normalization == .candidates else { return votes[0] }
        let shares = votes.map { Self.softmax($0, over: protected.map { !$0 }) }
        return shares.dropFirst().reduce(shares[0]) { zip($0, $1).map(max) }
    }

    private static func softmax(_ values: [Float], over isCandidate: [Bool]) -> [Float] {
        let highest = zip(values, isCandidate).lazy.filter(\.1).map(\.0).max() ?? 0
        let exponentials = zip(values, isCandidate).map { $1 ? exp($0 - highest) : 0 }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { sum > 0 ? $0 / sum : 0 }
    }
}
