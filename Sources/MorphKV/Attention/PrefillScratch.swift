internal import Ggml

/// One layer's keys and values while a prompt runs through it: what the cache held, then the new tokens.
///
/// All layers use the same memory, one after the other, so only one layer's full keys and values exist at a time.
final class PrefillScratch {
    private let arena: Arena
    private let keyMemory: Tensor
    private let valueMemory: Tensor
    private let geometry: LayerGeometry

    init(_ plan: LayerPlan, entries: Int, on backend: Backend) throws {
        geometry = plan.geometry
        arena = try Arena(tensors: 2)
        let count = entries * geometry.headDimension * geometry.kvHeads
        keyMemory = arena.tensor(plan.elementType, [count], name: "scratchKeys")
        valueMemory = arena.tensor(plan.elementType, [count], name: "scratchValues")
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

    private func view(_ memory: Tensor, _ range: Range<Int>, of entries: Int, in graph: Graph) -> Tensor {
        let row = memory.type.bytes(geometry.headDimension)
        return graph.view(
            memory, [geometry.headDimension, range.count, geometry.kvHeads], strides: [row, row * entries],
            offset: range.lowerBound * row)
    }
}
