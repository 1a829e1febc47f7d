internal import Ggml

/// One sequence's attention of ggml's own operations, as a part of a step's graph.
final class GraphAttention: StepAttention {
    private let description: DecoderDescription
    private let layers: [LayerCache]
    let recurrence: any Recurrence
    private var inputs: [Key: StepInputs] = [:]

    /// What layers must have in common to share the inputs of a step.
    private struct Key: Hashable {
        let rule: RetentionRule
        let slidingWindow: Int?
        /// Layers that were cut once may hold different numbers of entries.
        let layer: Int?

        init(_ plan: LayerPlan) {
            rule = plan.rule
            slidingWindow = plan.geometry.slidingWindow
            if case .once = rule { layer = plan.geometry.layer } else { layer = nil }
        }
    }

    init(_ description: DecoderDescription, _ layers: [LayerCache], recurrence: any Recurrence) {
        self.description = description
        self.recurrence = recurrence
        self.layers = layers
    }

    func attend(_ projections: BlockGraph.Projections, layer index: Int, in graph: Graph) -> Tensor {
        let (layer, scale) = (layers[index], description.attentionScale)
        let inputs = inputs[Key(layer.plan), default: StepInputs(in: graph)]
        self.inputs[Key(layer.plan)] = inputs
        guard let scores = layer.scores else {
            return PositionalStep(graph: graph, inputs: inputs, cache: layer, projections: projections, scale: scale)
                .attend()
        }
        let formula = scores.rule.featureSource?.formula
        let features = formula?.features(of: projections.input, layer: layer.plan.geometry, in: graph)
        let step = ScoredStep(
            graph: graph, inputs: inputs, cache: layer, scores: scores, projections: projections, features: features,
            scale: scale)
        return scores.state.attend(step)
    }

    func prepare(_ feeds: ArraySlice<Feed>) {
        for inputs in inputs.values { inputs.fill(position: feeds.first!.cache.seen) }
    }
}
