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
        let kvHeads: Int
        let readers: Int
        /// Layers that were cut once may hold different numbers of entries.
        let layer: Int?

        init(_ plan: LayerPlan) {
            rule = plan.rule
            slidingWindow = plan.geometry.slidingWindow
            kvHeads = plan.geometry.kvHeads
            readers = plan.geometry.readers
            if case .once = rule { layer = plan.geometry.layer } else { layer = nil }
        }
    }

    init(_ description: DecoderDescription, _ layers: [LayerCache], recurrence: any Recurrence) {
        self.description = description
        self.recurrence = recurrence
        self.layers = layers
    }

    func attend(_ projections: BlockGraph.Projections, layer index: Int, in graph: Graph) -> Tensor {
        let (layer, scale) = (layers[description.source(of: index)], description.attentionScale)
        let reader = description.reader(index)
        let inputs = inputs[Key(layer.plan), default: StepInputs(in: graph)]
        self.inputs[Key(layer.plan)] = inputs
        guard let scores = layer.scores else {
            return PositionalStep(graph: graph, inputs: inputs, cache: layer, projections: projections, scale: scale)
                .attend(reads: reader > 0)
        }
        let formula = reader > 0 ? nil : scores.rule.featureSource?.formula
        let features = formula?.features(of: projections.input, layer: layer.plan.geometry, in: graph)
        let step = ScoredStep(
            graph: graph, inputs: inputs, cache: layer, scores: scores, projections: projections, features: features,
            scale: scale)
        return reader > 0 ? scores.state.read(step, reader: reader) : scores.state.attend(step)
    }

    func prepare(_ feeds: ArraySlice<Feed>) {
        for inputs in inputs.values { inputs.fill(position: feeds.first!.cache.seen) }
    }
}
