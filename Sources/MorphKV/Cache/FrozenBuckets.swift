internal import Ggml

/// Which of a layer's KV heads lie together in a device's memory, with rows of equal length.
struct BucketPlan: Hashable, Sendable {
    struct Bucket: Hashable, Sendable {
        /// Heads with nearly as many entries as the first one.
        let heads: [Int]
        /// Entries for each of them; one at least, so that heads without entries are no special case.
        let length: Int
    }

    /// How much a layer's heads may be filled up with, as a share of its entries.
    static let mostPadding = 0.05

    let buckets: [Bucket]

    /// As few buckets as that share allows.
    ///
    /// - Parameter counts: how many entries each KV head has.
    init(_ counts: [Int]) {
        let order = counts.indices.sorted { (counts[$0], $1) > (counts[$1], $0) }
        let sorted = order.map { counts[$0] }
        let most = Int(Self.mostPadding * Double(sorted.reduce(0, +)))
        var ends = [sorted.count]
        for buckets in 1...sorted.count {
            let division = Self.division(of: sorted, into: buckets)
            ends = division.ends
            if division.padding <= most { break }
        }
        buckets = zip([0] + ends, ends).map { first, end in
            Bucket(heads: order[first..<end].sorted(), length: max(1, sorted[first]))
        }
    }

    /// Entries that fill up shorter heads.
    func padding(of counts: [Int]) -> Int {
        buckets.reduce(-counts.reduce(0, +)) { $0 + $1.heads.count * $1.length }
    }

    /// Where descending numbers are divided, so that the differences from each part's first one are least.
    private static func division(of counts: [Int], into parts: Int) -> (ends: [Int], padding: Int) {
        let n = counts.count
        var sums = [0]
        for count in counts { sums.append(sums.last! + count) }
        func padding(_ first: Int, _ end: Int) -> Int { counts[first] * (end - first) - (sums[end] - sums[first]) }
        // best[end]: of the first `end` numbers in so many parts, and where the last part begins.
        var best: [[(padding: Int, first: Int)?]] = [(0...n).map { $0 == 0 ? (0, 0) : nil }]
        for part in 1...parts {
            best.append(
                (0...n).map { end in
                    (0..<end).compactMap { first in
                        best[part - 1][first].map { (padding: $0.padding + padding(first, end), first: first) }
                    }.min { $0.padding < $1.padding }
                })
        }
        var ends = [n]
        for part in stride(from: parts, to: 1, by: -1) { ends.insert(best[part][ends[0]]!.first, at: 0) }
        return (ends, best[parts][n]!.padding)
    }
}

/// A layer's frozen entries in the memory of a device, where graphs attend to them; any number of sequences may.
final class FrozenBuckets: @unchecked Sendable {
    // Sound to share: nobody writes to the memory after `init`.

    struct Bucket {
        /// The model's KV heads.
        let heads: [Int]
        /// `[headDim, length, heads]`
        let keys: Tensor
        /// `[length, headDim, heads]`, or like the keys; see ``FrozenBuckets/storesRows``.
        let values: Tensor
        /// f32 `[length, heads]`, -1 where a head has no more entries.
        let positions: Tensor
        /// Whether there are such places.
        let isPadded: Bool
    }

    let buckets: [Bucket]
    /// Whether values are rows, as types in blocks have to be; else they are transposed, so that weights times values
    /// needs no copy.
    let storesRows: Bool
    private let arena: Arena

    /// Describes the memory without allocating it.
    private init(_ layout: FrozenLayer.Layout) throws {
        let plan = BucketPlan(layout.counts)
        let arena = try Arena(tensors: 3 * plan.buckets.count)
        let storesRows = !CacheType.ofGraphs.contains(layout.valueType)
        self.arena = arena
        self.storesRows = storesRows
        buckets = plan.buckets.map { bucket in
            let (count, length) = (bucket.heads.count, bucket.length)
            let rows = [layout.dimension, length, count]
            return Bucket(
                heads: bucket.heads,
                keys: arena.tensor(layout.keyType.elementType, rows, name: "frozenKeys"),
                values: arena.tensor(
                    layout.valueType.elementType, storesRows ? rows : [length, layout.dimension, count],
                    name: "frozenValues"),
                positions: arena.tensor(.f32, [length, count], name: "frozenPositions"),
                isPadded: bucket.heads.contains { layout.counts[$0] < length })
        }
    }

    /// Copies a layer's entries to a device.
    ///
    /// - Throws: `GgmlError` of kind `memory`.
    convenience init(_ frozen: FrozenLayer, on backend: Backend) throws {
        try self.init(frozen.layout)
        try arena.allocate(on: backend)
        for bucket in buckets { fill(bucket, frozen) }
    }

    /// Bytes that the entries of such a layer take on a device, known before they are copied.
    static func bytes(of layout: FrozenLayer.Layout, on device: Device) throws -> Int {
        try FrozenBuckets(layout).arena.plannedBytes(on: device)
    }

    var allocatedBytes: Int { arena.allocatedBytes }

    private func fill(_ bucket: Bucket, _ frozen: FrozenLayer) {
        let (layout, length) = (frozen.layout, bucket.positions[0])
        for (index, head) in bucket.heads.enumerated() {
            let (first, count) = (Int(frozen.starts[head]), layout.counts[head])
            let keys = UnsafeRawBufferPointer(
                start: frozen.keys + first * layout.keyRow, count: count * layout.keyRow)
            bucket.keys.write(keys, at: index * length * layout.keyRow)
            var values = [UInt8](repeating: 0, count: length * layout.valueRow)
            values.withUnsafeMutableBytes {
                $0.copyMemory(
                    from: UnsafeRawBufferPointer(
                        start: frozen.values + first * layout.valueRow, count: count * layout.valueRow))
            }
            if !storesRows {
                values = SavedLayout.transpose(
                    values, [layout.dimension, length], size: layout.valueType.bytes(1))
            }
            bucket.values.write(values, at: index * length * layout.valueRow)
            let positions = (0..<length).map { $0 < count ? frozen.positions[first + $0] : -1 }
            bucket.positions.write(positions, at: index * length)
        }
    }
}
