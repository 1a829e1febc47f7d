/// A picture of what a cache holds, of bounded size however long the sequence is.
public struct CacheView: Sendable, Hashable, Codable {
    /// The most columns and rows a picture has.
    public static let (columns, rows) = (96, 64)

    /// Tokens of the sequence so far: the length that the columns divide.
    public let seen: Int
    /// Tokens of the prompt; the answer follows.
    public let prompt: Int
    /// The layers that are shown: all, or evenly spaced ones.
    public let layers: [Int]
    /// For each shown layer one digit per column: the share of its positions that the KV heads hold, 0 none, 9 all.
    public let kept: [String]
    /// Tokens that are pinned.
    public let pinned: Int
    /// One digit per column: the share of its positions that are pinned, 0 none, 9 all; nil if none are anywhere.
    public let pins: String?
    /// Entries per KV head at present; the largest layer's.
    public let slotsUsed: Int
    /// Bytes of the sequence's cache.
    public let cacheBytes: Int
    /// Bytes that a cache which keeps everything would have by now.
    public let fullCacheBytes: Int

    init(_ engine: Engine, prompt: Int, full: FullCacheCost) {
        let positions = engine.positions
        let seen = engine.seen
        self.seen = seen
        self.prompt = prompt
        let rows = min(Self.rows, positions.count)
        layers = (0..<rows).map { $0 * positions.count / rows }
        kept = layers.map { Self.digits(positions[$0], seen: seen) }
        let pinnedPositions = engine.cache.pins.clamped(to: 0..<seen).ranges.flatMap(Array.init)
        pinned = pinnedPositions.count
        pins = pinned > 0 ? Self.digits([pinnedPositions], seen: seen) : nil
        slotsUsed = engine.slotsUsed
        cacheBytes = engine.statistics.allocatedBytes
        fullCacheBytes = full.bytes(of: seen)
    }

    private static func digits(_ heads: [[Int]], seen: Int) -> String {
        let columns = min(Self.columns, seen)
        var counts = [Int](repeating: 0, count: columns)
        for positions in heads {
            for position in positions { counts[position * columns / seen] += 1 }
        }
        return counts.indices.map { column in
            // The positions p with p * columns / seen == column.
            let first = (column * seen + columns - 1) / columns
            let next = ((column + 1) * seen + columns - 1) / columns
            let share = Double(counts[column]) / Double((next - first) * heads.count)
            return counts[column] == 0 ? "0" : "\(max(1, min(9, Int(share * 9))))"
        }.joined()
    }
}
