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
                let first = slidingWindow.map { query - $0 + 1 } ?? 0
                // Old positions ascend, so those in sight are a suffix; so are the new ones up to the query.
                let oldFirst = old.partitioningIndex { $0 >= first }
                let newFirst = max(first, newPositions.lowerBound) - newPositions.lowerBound
                let newEnd = query - newPositions.lowerBound + 1
                for index in oldFirst..<oldCount { mask[start + index] = Self.visible }
                for index in newFirst..<newEnd { mask[start + oldCount + index] = Self.visible }
                start += width
            }
        }
        return mask
    }
}
