/// The scores of all entries of a layer on the host, for choices among many entries at once: after a prompt, and when
/// a rule is due that drops many entries at a time.
struct ScoreTable {
    /// The position of each entry, per KV head, ascending.
    let positions: [[Int]]
    /// Numbers of each entry; what a column stands for is the formula's affair.
    private var columns: [Int: [[Float]]] = [:]

    init(positions: [[Int]]) { self.positions = positions }

    /// A column, `[kvHead][entry]`; zeros if nothing was put there.
    subscript(column: Int) -> [[Float]] {
        get { columns[column] ?? positions.map { [Float](repeating: 0, count: $0.count) } }
        set { columns[column] = newValue }
    }

    /// The numbers of the columns that something was put into, ascending.
    var filled: [Int] { columns.keys.sorted() }

    /// The same for some of the KV heads; all of them if nil.
    func restricted(to heads: [Int]?) -> ScoreTable {
        guard let heads else { return self }
        var table = ScoreTable(positions: heads.map { positions[$0] })
        for (column, values) in columns { table[column] = heads.map { values[$0] } }
        return table
    }

    /// Adds values to those of the first entries, in column 0.
    ///
    /// - Parameters:
    ///   - values: `[kvHead][visible]`, flat.
    ///   - visible: the number of entries that they are for.
    mutating func add(_ values: [Float], visible: Int) {
        var sums = self[0]
        columns[0] = nil  // the only reference, so that adding copies nothing
        for head in sums.indices {
            for entry in 0..<visible { sums[head][entry] += values[head * visible + entry] }
        }
        columns[0] = sums
    }

    /// Adds another table's values, times a factor, to those of the first entries in a column.
    mutating func add(_ old: [[Float]], times factor: Float = 1, to column: Int = 0) {
        var sums = self[column]
        for (head, values) in old.enumerated() {
            for (entry, value) in values.enumerated() { sums[head][entry] += factor * value }
        }
        columns[column] = sums
    }

    /// Which entries stay when all but `count` per KV head must go: indices, ascending.
    ///
    /// The window, the sinks, the pins and the prompt's best entries up to its floor stay without question, then the best
    /// scores; equal scores: the lower position. What the next token does not see goes before all others.
    ///
    /// - Parameters:
    ///   - next: the position that the next token will have.
    ///   - promptEnd: the position after the sequence's first prompt.
    ///   - pins: positions that stay.
    ///   - sight: the first position that the next token sees.
    func keep(
        _ count: Int, rule: ScoringRule, by state: any ScoringState, next: Int, promptEnd: Int, pins: PinnedPositions,
        sight: Int
    ) -> [[Int]] {
        guard count < positions[0].count else { return positions.map { Array($0.indices) } }
        let floor = rule.promptFloor(beside: pins, after: promptEnd, before: next)
        let isCandidate = positions.map { held in
            let isPromptWhole = held.count { $0 < promptEnd } <= floor
            let first = isPromptWhole ? max(rule.sinks, promptEnd) : rule.sinks
            return held.map { $0 < sight || $0 < next - rule.window && $0 >= first && !pins.contains($0) }
        }
        var scores = positions.indices.map {
            state.scores(of: $0, in: self, isCandidate: isCandidate[$0], next: next)
        }
        if rule.sharesChoice {
            let total = scores.dropFirst().reduce(scores[0]) { zip($0, $1).map(+) }
            scores = Array(repeating: total, count: scores.count)
        }
        return positions.indices.map { head in
            let held = positions[head]
            var stays = isCandidate[head].map { !$0 }
            func keepBest(_ count: Int, among range: Range<Int>) {
                let open = held.indices.filter { !stays[$0] && range.contains(held[$0]) }
                for entry in Self.best(count, of: open, by: scores[head]) { stays[entry] = true }
            }
            let prompt = held.indices.count { stays[$0] && held[$0] < promptEnd }
            if prompt < floor { keepBest(floor - prompt, among: sight..<max(sight, promptEnd)) }
            keepBest(count - stays.count { $0 }, among: sight..<max(sight, next))
            // As many in all heads, which are evicted next.
            keepBest(count - stays.count { $0 }, among: 0..<sight)
            return held.indices.filter { stays[$0] }
        }
    }

    /// The best of some entries by score; equal scores: the lower index.
    static func best(_ count: Int, of entries: [Int], by scores: [Float]) -> ArraySlice<Int> {
        entries.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }.prefix(count)
    }
}
