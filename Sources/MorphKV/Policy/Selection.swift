/// The choice that a scoring rule makes among many entries at once, after a prompt.
struct Selection {
    /// The rule that decides.
    let rule: ScoringRule
    /// The position that the next token will have.
    let nextPosition: Int

    /// Which entries of one KV head stay when all but `count` must go.
    ///
    /// The window and the sinks stay without question, then the best scores; equal scores: the lower position.
    ///
    /// - Parameters:
    ///   - positions: the position of each entry, ascending.
    ///   - scores: the score of each entry.
    /// - Returns: indices of the entries that stay, ascending.
    func keep(_ count: Int, positions: [Int], scores: ArraySlice<Float>) -> [Int] {
        guard count < positions.count else { return Array(positions.indices) }
        let protected = { (position: Int) in position >= nextPosition - rule.window || position < rule.sinks }
        var kept = positions.indices.filter { protected(positions[$0]) }
        let base = scores.startIndex
        let others = positions.indices.filter { !protected(positions[$0]) }
            .sorted { scores[base + $0] != scores[base + $1] ? scores[base + $0] > scores[base + $1] : $0 < $1 }
        kept += others.prefix(count - kept.count)
        return kept.sorted()
    }
}
