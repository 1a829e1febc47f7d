internal import Ggml

/// One layer's keys and values while a prompt runs through it: what the cache held, then the new tokens.
///
/// Layers use the same memory, one after the other, so that only one layer's full keys and values exist at a time; those that
/// later blocks attend to stay.
final class PrefillScratch {
    private let arena: Arena
    private let keyMemory: Tensor
    private let valueMemory: Tensor
    private let queryMemory: Tensor
    /// Attends to them where they lie in the host's memory; nil elsewhere.
    let kernel: PromptKernel?
    private let queryHeads: Int
    /// The shape of the layer whose turn it is.
    private var dimension: Int
    private var kvHeads: Int
    /// Entries and queries of other texts in the same memory, which come before.
    private let firstEntry: Int
    private let firstQuery: Int

    /// - Parameters:
    ///   - entries: room for that many keys and values.
    ///   - queries: room for that many queries, which the rule looks at.
    ///   - isFused: whether kernels compute, or graphs do; nil: as the device can.
    init(
        _ description: DecoderDescription, _ keyType: CacheType, _ valueType: CacheType, entries: Int,
        queries: Int, isFused: Bool? = nil, on backend: Backend
    ) throws {
        kernel =
            isFused ?? backend.device.usesHostMemory
            ? try PromptKernel(description, keyType, valueType, threads: backend.threads) : nil
        dimension = description.headDimension
        queryHeads = description.queryHeads
        kvHeads = description.kvHeads
        (firstEntry, firstQuery) = (0, 0)
        arena = try Arena(tensors: 3)
        let row = description.layers.map { $0.headDimension * $0.kvHeads }.max() ?? 0
        let count = entries * row
        keyMemory = arena.tensor(keyType.elementType, [count], name: "scratchKeys")
        valueMemory = arena.tensor(valueType.elementType, [count], name: "scratchValues")
        queryMemory = arena.tensor(.f32, [dimension, queryHeads, queries], name: "scratchQueries")
        try arena.allocate(on: backend)
    }

    private init(_ whole: PrefillScratch, entries: Int, queries: Int) {
        (arena, kernel, queryHeads) = (whole.arena, whole.kernel, whole.queryHeads)
        (keyMemory, valueMemory, queryMemory) = (whole.keyMemory, whole.valueMemory, whole.queryMemory)
        (dimension, kvHeads) = (whole.dimension, whole.kvHeads)
        (firstEntry, firstQuery) = (entries, queries)
    }

    /// The memory of another text in the layer whose turn it is, behind so many entries and queries.
    func part(behind entries: Int, queries: Int) -> PrefillScratch {
        PrefillScratch(self, entries: entries, queries: queries)
    }

    /// Lets it hold another layer's keys and values.
    func begin(_ layer: DecoderDescription.Layer) {
        (dimension, kvHeads) = (layer.headDimension, layer.kvHeads)
    }

    /// Memory for each layer: the same for all of a device, but layers whose keys and values later blocks attend to have their own.
    static func all(
        _ description: DecoderDescription, _ keyType: CacheType, _ valueType: CacheType, entries: Int,
        queries: Int, isFused: Bool? = nil, on backend: Backend
    ) throws -> [PrefillScratch] {
        func make(on backend: Backend) throws -> PrefillScratch {
            try PrefillScratch(
                description, keyType, valueType, entries: entries, queries: queries, isFused: isFused, on: backend)
        }
        var common: [Device: PrefillScratch] = [:]
        return try description.layers.indices.map { index in
            let place = backend.at(index)
            if description.readers(of: index) > 0 {
                let own = try make(on: place)
                own.begin(description.layers[index])
                return own
            }
            let scratch = try common[place.device] ?? make(on: place)
            common[place.device] = scratch
            return scratch
        }
    }

    /// Bytes of what ``all(_:_:_:entries:queries:isFused:on:)`` made.
    static func bytes(of all: [PrefillScratch]) -> Int {
        var seen: Set<ObjectIdentifier> = []
        return all.reduce(0) { seen.insert(ObjectIdentifier($1)).inserted ? $0 + $1.allocatedBytes : $0 }
    }

    var allocatedBytes: Int { arena.allocatedBytes + (kernel?.bytes ?? 0) }

    /// Entries `range` of `entries` in all: `[headDim, range, kvHeads]`.
    func keys(_ range: Range<Int>, of entries: Int, in graph: Graph) -> Tensor {
        view(keyMemory, range, of: entries, in: graph)
    }

    /// Entries `range` of `entries` in all: `[headDim, range, kvHeads]`.
    func values(_ range: Range<Int>, of entries: Int, in graph: Graph) -> Tensor {
        view(valueMemory, range, of: entries, in: graph)
    }

    /// Queries of the chunk at hand: `[headDim, queryHeads, range]`.
    func queries(_ range: Range<Int>, in graph: Graph) -> Tensor {
        graph.view(
            queryMemory, [dimension, queryHeads, range.count], strides: [4 * dimension, 4 * dimension * queryHeads],
            offset: (firstQuery + range.lowerBound) * 4 * dimension * queryHeads)
    }

    /// The rows of `entries` in all, for the host; valid as long as the scratch memory is.
    ///
    /// - Throws: `GgmlError` of kind `memory` where they are copied from a device.
    func rows(of entries: Int) throws -> EntryRows {
        let starts = (0..<kvHeads).map { firstEntry * kvHeads + $0 * entries }
        if kernel == nil {
            return EntryRows(
                keys: try HostBlock(keyMemory.values()), values: try HostBlock(valueMemory.values()), starts: starts)
        }
        return EntryRows(
            keys: UnsafeRawPointer(keyMemory.hostAddress), values: UnsafeRawPointer(valueMemory.hostAddress),
            starts: starts)
    }

    /// Copies a layer's frozen entries, of which every head has equally many, to the front.
    func load(_ frozen: FrozenLayer, of entries: Int) {
        let count = frozen.layout.counts[0]
        for head in frozen.layout.counts.indices {
            for (memory, source, row) in [
                (keyMemory, frozen.keys, frozen.layout.keyRow), (valueMemory, frozen.values, frozen.layout.valueRow),
            ] {
                let part = UnsafeRawBufferPointer(start: source + head * count * row, count: count * row)
                memory.write(part, at: head * entries * row)
            }
        }
    }

    private func view(_ memory: Tensor, _ range: Range<Int>, of entries: Int, in graph: Graph) -> Tensor {
        let row = memory.type.bytes(dimension)
        return graph.view(
            memory, [dimension, range.count, kvHeads], strides: [row, row * entries],
            offset: (firstEntry * kvHeads + range.lowerBound) * row)
    }
}
