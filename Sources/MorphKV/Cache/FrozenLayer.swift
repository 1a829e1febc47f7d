internal import Foundation
internal import Ggml
internal import Synchronization

/// Entries of one layer that never change and are seen besides a sequence's slots: what was kept of a compressed prompt.
///
/// Every KV head has as many as it has; all lie one after the other, without gaps. Any number of sequences may attend
/// to them at the same time.
final class FrozenLayer: @unchecked Sendable {
    // Sound to share: nobody writes to the memory after `init`, and `owners` keep it alive.

    /// How many entries each KV head has, and how a key and a value are stored.
    struct Layout: Hashable, Sendable {
        var counts: [Int]
        var keyType: CacheType
        var valueType: CacheType
        var dimension: Int

        var entries: Int { counts.reduce(0, +) }
        var keyRow: Int { keyType.bytes(dimension) }
        var valueRow: Int { valueType.bytes(dimension) }
        /// Bytes of keys, values, positions and offsets.
        var bytes: Int { entries * (keyRow + valueRow + 4) + (counts.count + 1) * 8 }
    }

    let layout: Layout
    let keys: UnsafeRawPointer
    let values: UnsafeRawPointer
    let positions: UnsafePointer<Float>
    /// Where each head's entries begin, and after the last head their number.
    let starts: UnsafePointer<Int64>
    /// Bytes that are really held, in memory or as part of a mapped file.
    let allocatedBytes: Int
    private let owners: [AnyObject]
    /// The same on devices where graphs attend to it.
    private let copies = Mutex<[Device: FrozenBuckets]>([:])

    /// Entries in memory that `owner` holds, such as a mapped file.
    ///
    /// - Parameters:
    ///   - keys: `layout.entries` rows, unchanged as long as `owner` lives; likewise values and positions.
    /// - Throws: `GgmlError` of kind `memory`.
    init(
        _ layout: Layout, keys: UnsafeRawPointer, values: UnsafeRawPointer, positions: UnsafePointer<Float>,
        owner: AnyObject
    ) throws {
        self.layout = layout
        self.keys = keys
        self.values = values
        self.positions = positions
        let offsets = try Self.offsets(layout.counts)
        starts = UnsafePointer(offsets.memory.baseAddress!.assumingMemoryBound(to: Int64.self))
        owners = [owner, offsets]
        allocatedBytes = layout.entries * (layout.keyRow + layout.valueRow + 4) + offsets.bytes
    }

    /// Copies entries from elsewhere.
    ///
    /// - Parameter sources: where rows lie, and which of them, for each KV head in the order in which they are to lie.
    /// - Throws: `GgmlError` of kind `memory`.
    convenience init(_ layout: Layout, from sources: [(rows: EntryRows, chosen: [[EntryRows.Entry]])]) throws {
        let keys = try HostBlock(bytes: layout.entries * layout.keyRow)
        let values = try HostBlock(bytes: layout.entries * layout.valueRow)
        let positions = try HostBlock(bytes: layout.entries * 4)
        let floats = positions.memory.baseAddress!.assumingMemoryBound(to: Float.self)
        var row = 0
        for head in layout.counts.indices {
            for source in sources {
                let first = source.rows.starts[head]
                for entry in source.chosen[head] {
                    let (key, value) = ((first + entry.row) * layout.keyRow, (first + entry.row) * layout.valueRow)
                    (keys.memory.baseAddress! + row * layout.keyRow)
                        .copyMemory(from: source.rows.keys + key, byteCount: layout.keyRow)
                    (values.memory.baseAddress! + row * layout.valueRow)
                        .copyMemory(from: source.rows.values + value, byteCount: layout.valueRow)
                    floats[row] = Float(entry.position)
                    row += 1
                }
            }
        }
        // Rows may own their memory.
        withExtendedLifetime(sources) {}
        precondition(row == layout.entries, "as many entries are copied as were planned")
        try self.init(
            layout, keys: keys.memory.baseAddress!, values: values.memory.baseAddress!, positions: floats,
            owner: Owners([keys, values, positions]))
    }

    private static func offsets(_ counts: [Int]) throws -> HostBlock {
        let block = try HostBlock(bytes: (counts.count + 1) * 8)
        let numbers = block.memory.baseAddress!.assumingMemoryBound(to: Int64.self)
        var total = 0
        for (head, count) in counts.enumerated() {
            numbers[head] = Int64(total)
            total += count
        }
        numbers[counts.count] = Int64(total)
        return block
    }

    /// Bytes that were announced for it.
    var plannedBytes: Int { layout.bytes }

    /// The entries as graphs read them, copied to the device when they are first needed there.
    ///
    /// - Throws: `GgmlError` of kind `memory`.
    func buckets(on backend: Backend) throws -> FrozenBuckets {
        let made = copies.withLock { $0[backend.device] }
        if let made { return made }
        let new = try FrozenBuckets(self, on: backend)
        return copies.withLock { copies in
            // Another thread may have been faster.
            let kept = copies[backend.device] ?? new
            copies[backend.device] = kept
            return kept
        }
    }

    /// Bytes of copies on devices.
    var copiedBytes: Int { copies.withLock { $0.values.reduce(0) { $0 + $1.allocatedBytes } } }

    /// The rows of all heads.
    var rows: EntryRows {
        EntryRows(keys: keys, values: values, starts: layout.counts.indices.map { Int(starts[$0]) })
    }

    /// The positions of each KV head's entries.
    var headPositions: [[Int]] {
        layout.counts.indices.map { head in (Int(starts[head])..<Int(starts[head + 1])).map { Int(positions[$0]) } }
    }

    /// Some of the entries, by their index within each KV head.
    ///
    /// - Throws: `GgmlError` of kind `memory`.
    func keeping(_ kept: [[Int]]) throws -> FrozenLayer {
        var smaller = layout
        smaller.counts = kept.map(\.count)
        let held = headPositions
        let chosen = kept.enumerated().map { head, indices in
            indices.map { EntryRows.Entry(row: $0, position: held[head][$0]) }
        }
        return try FrozenLayer(smaller, from: [(rows, chosen)])
    }
}

/// Rows of keys and values in the host's memory; valid as long as what owns it lives.
struct EntryRows {
    struct Entry {
        /// Counted from the head's first row.
        let row: Int
        let position: Int
    }

    let keys: UnsafeRawPointer
    let values: UnsafeRawPointer
    /// The row at which each head begins.
    let starts: [Int]
    /// What the memory belongs to, if nothing else holds it.
    private var owners: [AnyObject] = []

    /// - Parameter starts: the row at which each head begins.
    init(keys: UnsafeRawPointer, values: UnsafeRawPointer, starts: [Int]) {
        self.keys = keys
        self.values = values
        self.starts = starts
    }

    /// Rows in memory that is freed with them.
    init(keys: HostBlock, values: HostBlock, starts: [Int]) {
        self.init(
            keys: UnsafeRawPointer(keys.memory.baseAddress!), values: UnsafeRawPointer(values.memory.baseAddress!),
            starts: starts)
        owners = [keys, values]
    }
}

extension HostBlock {
    /// A copy of bytes.
    ///
    /// - Throws: `GgmlError` of kind `memory`.
    convenience init(_ copy: [UInt8]) throws {
        try self.init(bytes: copy.count)
        copy.withUnsafeBytes { memory.copyMemory(from: $0) }
    }
}

/// Memory of the host, aligned for the kernel.
final class HostBlock {
    // Sound: allocated in `init`, freed in `deinit`, not replaced in between.
    let memory: UnsafeMutableRawBufferPointer
    let bytes: Int

    /// - Throws: `GgmlError` of kind `memory`.
    init(bytes: Int) throws {
        self.bytes = bytes
        // An empty block has an address too.
        let size = max(bytes, 64)
        var address: UnsafeMutableRawPointer?
        guard posix_memalign(&address, 64, size) == 0 else {
            throw GgmlError(.memory, "\(size) bytes of memory could not be had")
        }
        memory = UnsafeMutableRawBufferPointer(start: address, count: size)
    }

    deinit { free(memory.baseAddress) }
}

private final class Owners {
    private let owners: [AnyObject]
    init(_ owners: [AnyObject]) { self.owners = owners }
}

extension HostBlock {
    /// Fills it with rows of some numbers, which are used again and again.
    func fill(_ type: CacheType, rowLength: Int, from values: [Float]) throws {
        let count = values.count / rowLength * rowLength
        let block = try HostBlock(bytes: type.bytes(count))
        values.withUnsafeBufferPointer {
            type.elementType.quantize(
                UnsafeBufferPointer(rebasing: $0[..<count]), rowLength: rowLength, into: block.memory.baseAddress!)
        }
        for offset in stride(from: 0, to: bytes, by: block.bytes) {
            (memory.baseAddress! + offset).copyMemory(
                from: block.memory.baseAddress!, byteCount: min(block.bytes, bytes - offset))
        }
    }
}
