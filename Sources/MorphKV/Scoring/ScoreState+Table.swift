internal import Ggml

/// Reading scores into a table on the host, and writing a table's choice back.
extension ScoreState {
    /// The scores of what the slots hold.
    ///
    /// - Parameters:
    ///   - seen: tokens that the sequence has so far.
    ///   - origin: the first position that went to the slots.
    func table(_ entries: [[(slot: Int, position: Int)]], seen: Int, origin: Int = 0) -> ScoreTable {
        var table = ScoreTable(positions: entries.map { $0.map(\.position) })
        switch kind {
        case .windowSum(let state):
            let fresh: [Float] = state.fresh.values()
            let expiring: [Float] = state.expiring.values()
            table.sums = gather(zip(fresh, expiring).map(+), entries)
        case .cumulative(let score, _):
            table.sums = gather(score.values(), entries)
        case .profile(let state):
            let all: [Float] = state.votes.values()
            for query in max(origin, seen - state.queryCount)..<seen {
                let row = query % state.queryCount * state.votes[0]
                table.votes[query] = entries.enumerated().map { head, held in
                    (0..<state.votersPerHead).map { voter in
                        let start = row + (head * state.votersPerHead + voter) * slots
                        return held.map { all[start + $0.slot] }
                    }
                }
            }
        }
        return table
    }

    private func gather(_ values: [Float], _ entries: [[(slot: Int, position: Int)]]) -> [[Float]] {
        entries.enumerated().map { head, held in held.map { values[head * slots + $0.slot] } }
    }

    /// Makes entry `kept[head][i]` of the table the content of slot i.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        positions.write(scatter(kept, otherwise: -1) { Float(table.positions[$0][$1]) })
        switch kind {
        case .windowSum(let state):
            state.expiring.write(scatter(kept, otherwise: 0) { table.sums[$0][$1] })
            state.fresh.fill(byte: 0)
        case .cumulative(let score, _):
            score.write(scatter(kept, otherwise: 0) { table.sums[$0][$1] })
        case .profile(let state):
            for query in max(0, seen - state.queryCount)..<seen {
                guard let votes = table.votes[query] else { continue }
                var row = [Float](repeating: state.unseen, count: state.votes[0])
                for (head, indices) in kept.enumerated() {
                    for voter in 0..<state.votersPerHead {
                        let start = (head * state.votersPerHead + voter) * slots
                        for (slot, entry) in indices.enumerated() { row[start + slot] = votes[head][voter][entry] }
                    }
                }
                state.votes.write(row, at: query % state.queryCount * row.count)
            }
        }
    }

    private func scatter(_ kept: [[Int]], otherwise empty: Float, _ value: (Int, Int) -> Float) -> [Float] {
        var values = [Float](repeating: empty, count: slots * kept.count)
        for (head, indices) in kept.enumerated() {
            for (slot, entry) in indices.enumerated() { values[head * slots + slot] = value(head, entry) }
        }
        return values
    }
}

extension LayerCache {
    /// Makes room when a rule that drops many entries at a time is due: the evicted slots become empty in place.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func evictBurst(seen: Int) {
        guard let scores, scores.rule.isBursty, used == slots else { return }
        let held = scores.entries()
        let kept = scores.table(held, seen: seen, origin: origin).keep(
            scores.rule.capacity - 1, rule: scores.rule, next: seen)
        var positions = [Float](repeating: -1, count: slots * held.count)
        for (head, indices) in kept.enumerated() {
            for index in indices {
                positions[head * slots + held[head][index].slot] = Float(held[head][index].position)
            }
        }
        scores.positions.write(positions)
        used = scores.rule.capacity - 1
    }
}
