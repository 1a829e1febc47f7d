internal import Ggml

/// Writing a token of each sequence into a layer's slots and attending to them, as operations of a graph.
struct SlotWriter {
    let graph: Graph
    let cache: LayerCache
    /// What is seen besides the slots; nil if nothing is.
    var frozen: FrozenStep?

    private var shape: SlotShape { cache.shape }
    private var geometry: LayerGeometry { shape.geometry }
    /// Of all sequences.
    private var heads: Int { geometry.kvHeads }
    private var dimension: Int { geometry.headDimension }

    /// The keys with the tokens' in their slots.
    ///
    /// - Parameter slot: i32 `[kvHeads]`, or one per sequence for all of its heads.
    func write(keys: Tensor, at slot: Tensor) -> Tensor { writeRows(keys, to: cache.keys, at: slot) }

    /// The values with the tokens' in their slots. Where they are transposed each channel of each head is a row of one
    /// element; the slot index is repeated over the channels.
    func write(values: Tensor, at slot: Tensor) -> Tensor {
        if cache.plan.storesRows { return writeRows(values, to: cache.values, at: slot) }
        // The last dimension has a number of its own for each index.
        let (indices, rows) = (slot.count, dimension * heads / slot.count)
        let written = graph.setRows(
            of: graph.reshape(cache.values, [1, cache.slots, rows, indices]),
            to: graph.reshape(values, [1, 1, rows, indices]), at: graph.reshape(slot, [1, 1, indices]))
        return graph.reshape(written, [cache.slots, dimension, heads])
    }

    /// A tensor `[slots, kvHeads]` with these values, `[kvHeads]`, in the slot; or with several numbers each,
    /// `[width, slots, kvHeads]` and `[width, kvHeads]`.
    func write(_ values: Tensor, to target: Tensor, at slot: Tensor) -> Tensor {
        let width = values.count / heads
        let written = writeRows(values, to: graph.reshape(target, [width, cache.slots, heads]), at: slot)
        return width == 1 ? graph.reshape(written, [cache.slots, heads]) : written
    }

    /// - Parameter target: `[width, slots, kvHeads]`.
    private func writeRows(_ values: Tensor, to target: Tensor, at slot: Tensor) -> Tensor {
        let (width, slots, sequences) = (target[0], target[1], shape.sequences)
        let written = graph.setRows(
            of: graph.reshape(target, [width, slots, shape.ownHeads, sequences]),
            to: graph.reshape(values, [width, 1, shape.ownHeads, sequences]),
            at: graph.reshape(slot, [1, slot.count / sequences, sequences]))
        return graph.reshape(written, [width, slots, heads])
    }

    /// `[headDim, queryHeads, sequences]` to `[headDim, group, kvHeads]`: the query heads of a group are neighbours.
    func grouped(_ queries: Tensor) -> Tensor { graph.reshape(queries, [dimension, geometry.groupSize, heads]) }

    /// The weights of masked scores, both `[slots, group, kvHeads]`.
    func weights(_ scores: Tensor, scale: Float = 1, _ sinks: Tensor?) -> Tensor {
        if let frozen {
            return frozen.weights(scale == 1 ? scores : graph.scale(scores, by: scale), sinks: sinks)
        }
        guard let sinks else { return graph.softmax(scores, scale: scale) }
        // ggml has a sink for each head, which is what the third dimension counts.
        let byHead = graph.reshape(
            scores, [scores[0], 1, geometry.queryHeads / shape.sequences, shape.sequences])
        return graph.reshape(graph.softmax(byHead, scale: scale, sinks: sinks), [scores[0], geometry.groupSize, heads])
    }

    /// Weights `[slots, group, kvHeads]` times transposed values: `[headDim * queryHeads, sequences]`.
    func output(_ values: Tensor, _ weights: Tensor) -> Tensor {
        let result = graph.matmul(values, weights)
        return flat(frozen?.adding(to: result, isWeighed: true) ?? result)
    }

    /// The same by flash attention, from keys and values in rows. What is seen besides the slots has been weighed before.
    ///
    /// - Parameter mask: f16 `[slots, 1, 1 or query heads of one sequence, sequences]`.
    func attend(
        _ queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: Float, sinks: Tensor?
    ) -> Tensor {
        let (own, sequences) = (shape.ownHeads, shape.sequences)
        let result = graph.flashAttention(
            q: graph.reshape(queries, [dimension, 1, own * geometry.groupSize, sequences]),
            k: graph.reshape(keys, [dimension, cache.slots, own, sequences]),
            v: graph.reshape(values, [dimension, cache.slots, own, sequences]), mask: mask, scale: scale,
            sinks: frozen == nil ? sinks : nil)
        guard let frozen else { return flat(result) }
        let byHead = graph.reshape(result, [dimension, geometry.groupSize, heads])
        return flat(frozen.adding(to: byHead, isWeighed: false))
    }

    private func flat(_ result: Tensor) -> Tensor {
        let sequences = shape.sequences
        return graph.reshape(result, [dimension * geometry.queryHeads / sequences, sequences])
    }
}
