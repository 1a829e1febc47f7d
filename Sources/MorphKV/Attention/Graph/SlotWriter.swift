internal import Ggml

/// Writing one token into a layer's slots and attending to them, as operations of a graph.
struct SlotWriter {
    let graph: Graph
    let cache: LayerCache

    private var geometry: LayerGeometry { cache.plan.geometry }
    private var heads: Int { geometry.kvHeads }
    private var dimension: Int { geometry.headDimension }

    /// The keys with a token's in its slot.
    ///
    /// - Parameter slot: i32 `[kvHeads]`, or `[1]` for all heads.
    func write(keys: Tensor, at slot: Tensor) -> Tensor {
        graph.setRows(
            of: cache.keys, to: graph.reshape(keys, [dimension, 1, heads]), at: graph.reshape(slot, [1, slot.count]))
    }

    /// The values with a token's in its slot. Each channel of each head is a row of one element; the slot index is
    /// repeated over the channels.
    func write(values: Tensor, at slot: Tensor) -> Tensor {
        let size = cache.values.strides
        let target = graph.view(
            cache.values, [1, cache.slots, dimension, heads], strides: [size[0], size[1], size[2]])
        let written = graph.setRows(
            of: target, to: graph.reshape(values, [1, 1, dimension, heads]),
            at: graph.reshape(slot, [1, 1, slot.count]))
        return graph.view(written, [cache.slots, dimension, heads], strides: [size[1], size[2]])
    }

    /// A tensor `[slots, kvHeads]` with these values, `[kvHeads]`, in the slot; or with several numbers each,
    /// `[width, slots, kvHeads]` and `[width, kvHeads]`.
    func write(_ values: Tensor, to target: Tensor, at slot: Tensor) -> Tensor {
        let width = values.count / heads
        let written = graph.setRows(
            of: graph.reshape(target, [width, cache.slots, heads]), to: graph.reshape(values, [width, 1, heads]),
            at: graph.reshape(slot, [1, slot.count]))
        return width == 1 ? graph.view(written, [cache.slots, heads], strides: [cache.slots * 4]) : written
    }

    /// `[headDim, queryHeads, 1]` to `[headDim, group, kvHeads]`: the query heads of a group are neighbours.
    func grouped(_ queries: Tensor) -> Tensor { graph.reshape(queries, [dimension, geometry.groupSize, heads]) }

    /// The weights of masked scores, both `[slots, group, kvHeads]`.
    func weights(_ scores: Tensor, scale: Float = 1, _ sinks: Tensor?) -> Tensor {
        guard let sinks else { return graph.softmax(scores, scale: scale) }
        // ggml has a sink for each head, which is what the third dimension counts.
        let byHead = graph.reshape(scores, [scores[0], 1, geometry.queryHeads])
        return graph.reshape(graph.softmax(byHead, scale: scale, sinks: sinks), [scores[0], geometry.groupSize, heads])
    }

    /// Weights `[slots, group, kvHeads]` times values: `[headDim * queryHeads, 1]`.
    func output(_ values: Tensor, _ weights: Tensor) -> Tensor {
        graph.reshape(graph.matmul(values, weights), [dimension * geometry.queryHeads, 1])
    }
}
