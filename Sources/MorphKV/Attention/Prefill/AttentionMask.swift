internal import Ggml

/// Who may see whom while a prompt runs through a layer: f16, 0 or minus infinity.
struct AttentionMask {
    static let visible: UInt16 = 0
    static let hidden: UInt16 = 0xFC00  // minus infinity as f16

    /// Positions of the entries from before the prompt, per KV head; empty if there are none.
    let oldPositions: [[Int]]
    /// Positions of the prompt's tokens.
    let newPositions: Range<Int>
    /// How far back a token sees, itself included; nil if it sees everything.
    let slidingWindow: Int?
    let queryHeads: Int

    /// Whether KV heads see different positions, which matters only where positions drop out of sight.
    private var isPerHead: Bool { slidingWindow != nil && Set(oldPositions).count > 1 }
    private var headCount: Int { isPerHead ? queryHeads : 1 }
    private var oldCount: Int { oldPositions.first?.count ?? 0 }

    /// The mask's shape for some of the prompt's tokens, which see no later token.
    func shape(queries: Range<Int>) -> [Int] {
        [oldCount + queries.upperBound - newPositions.lowerBound, queries.count, headCount]
    }

    /// Which entries tokens see, one after the other: all from a first one to their own.
    struct Sight {
        /// How many entries there are up to the first token's own.
        let seen: Int
        /// `[heads][tokens]`: the first entry that is seen; nil if that is always the first of all.
        let first: [Int32]?
        /// The KV heads, or 1 where all see the same.
        let heads: Int
    }

    /// What some of the prompt's tokens see.
    func sight(queries: Range<Int>) -> Sight {
        let seen = shape(queries: queries)[0] - queries.count + 1
        guard slidingWindow != nil else { return Sight(seen: seen, first: nil, heads: 1) }
        let all = oldPositions.isEmpty ? [[]] : isPerHead ? oldPositions : [oldPositions[0]]
        let first = all.flatMap { old in queries.map { Int32(firstEntry(seenBy: $0, old: old)) } }
        return Sight(seen: seen, first: first, heads: all.count)
    }

    /// Old positions ascend, so those in sight are a suffix; so are the new ones up to the query.
    private func firstEntry(seenBy query: Int, old: [Int]) -> Int {
        let first = slidingWindow.map { query - $0 + 1 } ?? 0
        let inOld = old.partitioningIndex { $0 >= first }
        return inOld < old.count ? inOld : old.count + max(first - newPositions.lowerBound, 0)
    }

    /// The mask's values for some of the prompt's tokens.
    ///
    /// - Parameter visible: how many entries the mask covers; up to the last of the tokens if nil.
    func values(queries: Range<Int>, visible: Int? = nil) -> [UInt16] {
        let shape = shape(queries: queries)
        let width = visible ?? shape[0]
        var mask = [UInt16](repeating: Self.hidden, count: width * shape[1] * shape[2])
        var start = 0
        for head in 0..<headCount {
            let old = oldPositions.isEmpty ? [] : oldPositions[head * oldPositions.count / headCount]
            for query in queries {
                let end = oldCount + query - newPositions.lowerBound + 1
                for index in firstEntry(seenBy: query, old: old)..<end { mask[start + index] = Self.visible }
                start += width
            }
        }
        return mask
    }
}
