internal import Ggml

/// The attention of sequences with equal caches by ggml's own operations, as a part of a step's graph.
final class GraphAttention: StepAttention {
    private let description: DecoderDescription
    private let layers: [LayerCache]
    private let sequences: Int
    let recurrence: any Recurrence
    private var inputs: [Key: StepInputs] = [:]

    /// What layers must have in common to share the inputs of a step.
    private struct Key: Hashable {
        let rule: RetentionRule
        let slidingWindow: Int?
        let slots: Int
        let kvHeads: Int
        let readers: Int
        /// Layers that were cut once may hold different numbers of entries.
        let layer: Int?

        init(_ cache: LayerCache) {
            let geometry = cache.plan.geometry
            rule = cache.plan.rule
            slidingWindow = geometry.slidingWindow
            slots = cache.slots
            kvHeads = geometry.kvHeads
            readers = geometry.readers
            if case .once = rule { layer = geometry.layer } else { layer = nil }
        }
    }

    /// - Parameters:
    ///   - layers: of all sequences together.
    ///   - recurrence: of one sequence; models with such blocks have no batches.
    init(_ description: DecoderDescription, _ layers: [LayerCache], recurrence: any Recurrence) {
        self.description = description
        self.recurrence = recurrence
        self.layers = layers
        sequences = layers[0].shape.sequences
    }

    func attend(_ projections: BlockGraph.Projections, layer index: Int, in graph: Graph) -> Tensor {
        let source = description.source(of: index)
        let (layer, reader) = (layers[source], description.reader(index))
        let inputs = inputs[Key(layer), default: StepInputs(in: graph)]
        self.inputs[Key(layer)] = inputs
        let columns = projections.queries[2]
        let own = projections.first(sequences, in: graph)
        let result: Tensor
        if let scores = layer.scores {
            let formula = reader > 0 ? nil : scores.rule.featureSource?.formula
            let features = formula?.features(of: own.input, layer: description.geometry(of: source), in: graph)
            let step = ScoredStep(
                graph: graph, inputs: inputs, cache: layer, scores: scores, projections: own, features: features,
                scale: description.attentionScale)
            result = reader > 0 ? scores.state.read(step, reader: reader) : scores.state.attend(step)
        } else {
            let step = PositionalStep(
                graph: graph, inputs: inputs, cache: layer, projections: own, scale: description.attentionScale)
            result = step.attend(reads: reader > 0)
        }
        guard sequences < columns else { return result }
        // What fills a step up attends to nothing; its numbers only have to be numbers.
        let rest = graph.view(
            projections.queries, [result[0], columns - sequences], strides: [projections.queries.strides[2]])
        return graph.concat(result, rest, along: 1)
    }

    func prepare(_ feeds: ArraySlice<Feed>) {
        for inputs in inputs.values {
            inputs.fill { layer in
                feeds.map { StepSequence($0.cache.layers[layer], at: $0.cache.seen) }
            }
        }
    }
}

extension StepSequence {
    fileprivate init(_ layer: LayerCache, at position: Int) {
        let slot = layer.slot(of: position)
        self.init(
            position: position, phase: layer.scores?.state.phase ?? 0, promptEnd: layer.promptEnd, pins: layer.pins,
            slot: slot, filled: max(layer.used, slot + 1))
    }
}

extension BlockGraph.Projections {
    /// Those of the first tokens.
    fileprivate func first(_ tokens: Int, in graph: Graph) -> BlockGraph.Projections {
        guard tokens < queries[2] else { return self }
        func part(_ tensor: Tensor) -> Tensor {
            graph.view(tensor, [tensor[0], tensor[1], tokens], strides: Array(tensor.strides[1...2]))
        }
        let columns = graph.view(input, [input[0], tokens], strides: [input.strides[1]])
        return BlockGraph.Projections(
            input: columns, queries: part(queries), keys: keys.map(part), values: values.map(part), sinks: sinks)
    }
}
