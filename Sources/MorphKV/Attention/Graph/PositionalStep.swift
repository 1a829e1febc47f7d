internal import Ggml

/// A token of each sequence in a layer whose rule depends on positions only: the host knows the slots.
struct PositionalStep {
    let graph: Graph
    let inputs: StepInputs
    let cache: LayerCache
    let projections: BlockGraph.Projections
    /// What is seen besides the slots; nil if nothing is.
    let frozen: FrozenStep?
    /// What attention scores are multiplied by before the softmax.
    let scale: Float

    private var shape: SlotShape { cache.shape }

    /// - Parameter reads: whether the token was written by an earlier block.
    /// - Returns: `[headDim * queryHeads, sequences]`, the heads' results in order.
    func attend(reads: Bool) -> Tensor {
        let writer = SlotWriter(graph: graph, cache: cache, frozen: frozen)
        let layer = shape.geometry.layer
        var (keys, values) = (cache.keys, cache.values)
        if !reads, let newKeys = projections.keys, let newValues = projections.values {
            let slot = inputs.tensor("slot", .i32, [shape.sequences], layer: layer) { sequence in
                [Int32(sequence.slot)]
            }
            keys = writer.write(keys: newKeys, at: slot)
            values = writer.write(values: newValues, at: slot)
        }
        let slots = cache.slots
        let filled = inputs.tensor("mask", .f16, [slots, 1, 1, shape.sequences], layer: layer) { sequence in
            (0..<slots).map { $0 < sequence.filled ? AttentionMask.visible : AttentionMask.hidden }
        }
        if cache.plan.storesRows, frozen == nil {
            return writer.attend(
                projections.queries, keys: keys, values: values, mask: filled, scale: scale, sinks: projections.sinks)
        }
        let products = graph.matmul(keys, writer.grouped(projections.queries))
        let rows = products[1] * products[2] / shape.sequences
        let mask = graph.reshape(graph.cast(filled, to: .f32), [cache.slots, 1, shape.sequences])
        let masked = graph.add(
            graph.reshape(products, [cache.slots, rows, shape.sequences]),
            // Below every score, yet finite.
            graph.clamp(mask, to: maskedScore...0))
        let scores = graph.reshape(masked, [cache.slots, products[1], products[2]])
        let weights = writer.weights(scores, scale: scale, projections.sinks)
        guard cache.plan.storesRows else { return writer.output(values, weights) }
        return writer.attend(
            projections.queries, keys: keys, values: values, mask: filled, scale: scale, sinks: projections.sinks)
    }
}
