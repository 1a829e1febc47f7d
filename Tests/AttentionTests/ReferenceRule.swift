import CAttention
import Foundation

/// A cache as the rules define it, in double precision: each entry knows what each query gave it, and every score is
/// computed from that anew.
struct ReferenceRule {
    /// What one query gave an entry, for each query head of the group.
    struct Given {
        /// Before the softmax, scaled.
        var scores: [Double]
        var weights: [Double]
    }

    struct Entry {
        let position: Int
        let key, value: [Double]
        var features: [Double] = []
        /// By the query's position; absent for queries that have not seen the entry.
        var given: [Int: Given] = [:]
    }

    let test: ScoringCase
    /// `[head][slot]`
    var slots: [[Entry?]]
    /// Entries besides the slots, `[head]`.
    let frozen: [[Entry]]

    init(_ test: ScoringCase, frozen: [[Entry]]) {
        self.test = test
        self.frozen = frozen
        slots = Array(
            repeating: Array(repeating: nil, count: test.shape.slots), count: test.shape.heads)
    }

    // MARK: Choosing

    /// The slot that a token must take while there are empty ones.
    func emptySlot(_ head: Int) -> Int? { slots[head].firstIndex { $0 == nil } }

    /// The score of each slot that may be chosen for the token at `position`, when all are filled; minus infinity where
    /// the entry is out of sight.
    func choices(_ head: Int, at position: Int) -> [Int: Double] {
        let summed = (test.sharesChoice ? Array(slots.indices) : [head]).map {
            scores($0, before: position)
        }
        var choices: [Int: Double] = [:]
        for slot in slots[head].indices {
            let entry = slots[head][slot]!
            if !isVisible(entry.position, at: position) {
                choices[slot] = -.infinity
            } else if !isProtected(entry.position, of: head, at: position) {
                choices[slot] = summed.reduce(0) { $0 + $1[slot] }
            }
        }
        return choices
    }

    private func isProtected(_ entry: Int, of head: Int, at position: Int) -> Bool {
        if entry >= position - test.window || entry < test.sinks { return true }
        if test.pins.contains(where: { $0.contains(entry) }) { return true }
        let prompt = slots[head].compactMap { $0 }.filter { $0.position < test.promptEnd }
        // Pins that are not the prompt's take from its floor where there is not enough room for both.
        let others = test.pins.joined().filter { $0 >= test.promptEnd && $0 < position }
        let floor = min(test.promptFloor, test.shape.slots - test.window - test.sinks - 1 - others.count)
        return entry < test.promptEnd && prompt.count <= floor
    }

    func isVisible(_ entry: Int, at position: Int) -> Bool {
        test.slidingWindow == 0 || entry > position - test.slidingWindow || entry < test.visibleSinks
    }

    /// The score of each slot of a head from all queries before `position`; 0 where it is empty.
    func scores(_ head: Int, before position: Int) -> [Double] {
        switch test.formula {
        case .windowSum(let queries):
            let queries = lastQueries(queries, before: position)
            return slots[head].map { entry in queries.reduce(0) { $0 + reducedWeight(entry, $1) } }
        case .cumulative(let decay):
            return slots[head].map { decayingSum($0, Double(decay)) }
        case .profile(let queries, let fusionMax, let candidates):
            let given = lastQueries(queries, before: position).map { query in
                candidates
                    ? candidateShares(head, query, at: position)
                    : slots[head].map { reducedWeight($0, query) }
            }
            return slots[head].indices.map { slot in
                given.reduce(0) { fusionMax ? max($0, $1[slot]) : $0 + $1[slot] }
            }
        case .foresight(let ages, let lambda):
            return slots[head].map { entry in
                guard let entry else { return 0 }
                let code = entry.features[ages.lastIndex { $0 <= position - entry.position } ?? 0] / 127
                return code * abs(code) + Double(lambda) * (lambda > 0 ? decayingSum(entry, 0.95) : 0)
            }
        case .keyDiff: return keyDifferences(slots[head])
        case .recency: return slots[head].map { Double($0?.position ?? 0) }
        case .random(let seed):
            return slots[head].map { entry in entry.map { Self.random(seed, head, $0.position) } ?? 0 }
        case .custom(let rule):
            return slots[head].map { entry in
                guard let entry else { return 0 }
                let given = entry.given.keys.sorted().map { (query: $0, weight: reducedWeight(entry, $0)) }
                return rule.score(entry, given, position)
            }
        }
    }

    /// Minus the cosine of each key with the mean of all keys' directions.
    /// What the queries gave an entry, each further one counting so much more than those before it.
    func decayingSum(_ entry: Entry?, _ decay: Double) -> Double {
        (entry?.given.keys.sorted() ?? []).reduce(0) { $0 * decay + reducedWeight(entry, $1) }
    }

    private func keyDifferences(_ entries: [Entry?]) -> [Double] {
        let directions = entries.map { direction($0!.key) }
        let sum = directions.dropFirst().reduce(directions[0]) { zip($0, $1).map(+) }
        let mean = direction(sum)
        return directions.map { -product($0, mean) }
    }

    private func direction(_ vector: [Double]) -> [Double] {
        let length = product(vector, vector).squareRoot()
        return vector.map { $0 / length }
    }

    /// The finalizer of MurmurHash3, of the seed, then of that and the head, then of that and the position.
    static func random(_ seed: UInt32, _ head: Int, _ position: Int) -> Double {
        var hash: UInt32 = 0
        for part in [seed, UInt32(head), UInt32(position)] {
            hash = hash &+ part
            for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35)] as [(UInt32, UInt32)] {
                hash = (hash ^ (hash >> shift)) &* factor
            }
            hash ^= hash >> 16
        }
        return Double(hash >> 8) / Double(1 << 24)
    }

    private func lastQueries(_ count: Int, before position: Int) -> [Int] {
        Array(max(test.origin, position - count)..<position)
    }

    /// The weight that a query gave, reduced over the group.
    func reducedWeight(_ entry: Entry?, _ query: Int) -> Double {
        guard let weights = entry?.given[query]?.weights else { return 0 }
        return test.groupMax ? weights.max()! : weights.reduce(0, +)
    }

    /// The scores that a query gave before the softmax, for each query head or, where the group is summed, of all together.
    func rawScores(_ entry: Entry, _ query: Int) -> [Double] {
        let unseen = [Double](repeating: -1e30, count: test.groupMax ? test.shape.group : 1)
        guard let scores = entry.given[query]?.scores else { return unseen }
        return test.groupMax ? scores : [scores.reduce(0, +)]
    }

    /// Each entry's share of a query's softmax over the entries that may be evicted, the largest of the query heads.
    private func candidateShares(_ head: Int, _ query: Int, at position: Int) -> [Double] {
        let entries = slots[head].map { $0! }
        let scores = entries.map { rawScores($0, query) }
        let candidates = entries.indices.filter {
            isVisible(entries[$0].position, at: position)
                && !isProtected(entries[$0].position, of: head, at: position)
        }
        var shares = [Double](repeating: 0, count: entries.count)
        for part in scores[0].indices {
            let highest = candidates.map { scores[$0][part] }.max() ?? 0
            let exponentials = candidates.map { exp(scores[$0][part] - highest) }
            let total = exponentials.reduce(0, +)
            for (slot, value) in zip(candidates, exponentials) {
                shares[slot] = max(shares[slot], value / total)
            }
        }
        return shares
    }

    // MARK: Attending

    /// Attention of the token at `position`, which has been put into its slots; notes what its queries give.
    ///
    /// - Parameter queries: `[group][dimension]`, times the scale.
    /// - Returns: `[group][dimension]`
    mutating func attend(_ head: Int, queries: [[Double]], at position: Int) -> [Double] {
        let live = slots[head].indices.filter { slots[head][$0] != nil }
        let entries = live.map { slots[head][$0]! } + frozen[head]
        let isSeen = entries.map { isVisible($0.position, at: position) }
        let scores = queries.map { query in entries.map { product(query, $0.key) } }
        let weights = scores.enumerated().map { member, scores in
            let sink = test.sinkTerms.isEmpty ? -.infinity : Double(test.sinkTerms[head * test.shape.group + member])
            let highest = max(sink, zip(scores, isSeen).map { $1 ? $0 : -.infinity }.max()!)
            let exponentials = zip(scores, isSeen).map { $1 ? exp($0 - highest) : 0 }
            // What the sink takes is nobody's.
            let total = exponentials.reduce(0, +) + exp(sink - highest)
            return exponentials.map { $0 / total }
        }
        for (index, slot) in live.enumerated() {
            slots[head][slot]!.given[position] = Given(
                scores: scores.map { $0[index] }, weights: weights.map { $0[index] })
        }
        return weights.flatMap { weights in
            var sum = [Double](repeating: 0, count: test.shape.dimension)
            for (weight, entry) in zip(weights, entries) {
                for d in sum.indices { sum[d] += weight * entry.value[d] }
            }
            return sum
        }
    }

    private func product(_ a: [Double], _ b: [Double]) -> Double {
        var sum = 0.0
        for index in a.indices { sum += a[index] * b[index] }
        return sum
    }
}
