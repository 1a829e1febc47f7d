internal import Ggml

/// One token's step in a layer whose rule depends on positions only: the host knows the slot.
struct PositionalStep {
    let graph: Graph
    let inputs: StepInputs
    let cache: LayerCache
    let projections: BlockGraph.Projections
    /// What attention scores are multiplied by before the softmax.
    let scale: Float

    /// - Parameter reads: whether the token was written by an earlier block.
    /// - Returns: `[headDim * queryHeads, 1]`, the heads' results in order.
    func attend(reads: Bool) -> Tensor {
        let writer = SlotWriter(graph: graph, cache: cache)
        var (keys, values) = (cache.keys, cache.values)
        if !reads, let newKeys = projections.keys, let newValues = projections.values {
            let slot = inputs.tensor("slot", .i32, [1]) { [cache] in $0.write(Int32(cache.slot(of: $1))) }
            keys = writer.write(keys: newKeys, at: slot)
            values = writer.write(values: newValues, at: slot)
        }
        let scores = graph.matmul(keys, writer.grouped(projections.queries))
        return writer.output(values, writer.weights(graph.add(scores, mask), scale: scale, projections.sinks))
    }

    /// 0 for filled slots, ``maskedScore`` for empty ones: `[slots]`.
    private var mask: Tensor {
        var values = [Float](repeating: maskedScore, count: cache.slots)
        var filledBefore = 0
        return inputs.tensor("mask", .f32, [cache.slots]) { [cache] tensor, position in
            let filled = max(cache.used, cache.slot(of: position) + 1)
            // Fewer than before after the cache was cleared or cut.
            for index in filled..<max(filled, filledBefore) { values[index] = maskedScore }
            for index in min(filled, filledBefore)..<filled { values[index] = 0 }
            filledBefore = filled
            tensor.write(values)
        }
    }
}
