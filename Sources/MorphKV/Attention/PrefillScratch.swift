internal import Ggml

/// One layer's keys and values while a prompt runs through it: what the cache held, then the new tokens.
///
/// All layers use the same memory, one after the other, so only one layer's full keys and values exist at a time.
final class PrefillScratch {
    private let arena: Arena
    private let keyMemory: Tensor
    private let valueMemory: Tensor
    private let queryMemory: Tensor
    private let geometry: LayerGeometry

    /// - Parameters:
    ///   - entries: room for that many keys and values.
    ///   - queries: room for that many queries, of which the policy takes votes.
    init(_ plan: LayerPlan, entries: Int, queries: Int, on backend: Backend) throws {
        geometry = plan.geometry
        arena = try Arena(tensors: 3)
        let count = entries * geometry.headDimension * geometry.kvHeads
        keyMemory = arena.tensor(plan.keyType, [count], name: "scratchKeys")
        valueMemory = arena.tensor(plan.valueType, [count], name: "scratchValues")
        queryMemory = arena.tensor(
            .f32, [geometry.headDimension, geometry.queryHeads, queries], name: "scratchQueries")
        try arena.allocate(on: backend)
    }

    var allocatedBytes: Int { arena.allocatedBytes }

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
            queryMemory, [geometry.headDimension, geometry.queryHeads, range.count],
            strides: Array(queryMemory.strides[1...2]), offset: range.lowerBound * queryMemory.strides[2])
    }

    private func view(_ memory: Tensor, _ range: Range<Int>, of entries: Int, in graph: Graph) -> Tensor {
        let row = memory.type.bytes(geometry.headDimension)
        return graph.view(
            memory, [geometry.headDimension, range.count, geometry.kvHeads], strides: [row, row * entries],
            offset: range.lowerBound * row)
    }
}
