internal import Ggml

/// What a layer's attention reads and writes: the slots of its heads, and what is seen besides.
struct GraphLayer {
    /// One cache for all heads of all sequences, or of a single sequence one for each kind of head.
    let parts: [LayerCache]
    /// What all sequences see besides the slots; nil if there is nothing.
    let frozen: FrozenBuckets?

    /// An upper bound on the operations and inputs that there are besides those of one cache.
    var operations: Int { 448 * parts.count + (frozen.map { 32 * $0.buckets.count + 48 * parts.count } ?? 0) }
}

/// The attention of sequences with equal caches by ggml's own operations, as a part of a step's graph.
final class GraphAttention: StepAttention {
    private let description: DecoderDescription
    private let layers: [GraphLayer]
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
        /// Which of the layer's caches it is.
        let part: Int
        /// Each device has inputs of its own.
        let graph: ObjectIdentifier
        /// Layers that were cut once may hold different numbers of entries.
        let layer: Int?

        init(_ cache: LayerCache, part: Int, in graph: Graph) {
            let geometry = cache.plan.geometry
            rule = cache.plan.rule
            slidingWindow = geometry.slidingWindow
            slots = cache.slots
            kvHeads = geometry.kvHeads
            readers = geometry.readers
            self.part = part
            self.graph = ObjectIdentifier(graph)
            if case .once = rule { layer = geometry.layer } else { layer = nil }
        }
    }

    /// - Parameters:
    ///   - layers: of all sequences together.
    ///   - recurrence: of one sequence; models with such blocks have no batches.
    init(_ description: DecoderDescription, _ layers: [GraphLayer], recurrence: any Recurrence) {
        self.description = description
        self.recurrence = recurrence
        self.layers = layers
        sequences = layers[0].parts[0].shape.sequences
    }

    func attend(_ projections: BlockGraph.Projections, layer index: Int, in graph: Graph) -> Tensor {
        let (source, reader) = (description.source(of: index), description.reader(index))
        let (layer, columns) = (layers[source], projections.queries[2])
        let own = projections.first(sequences, in: graph)
        let frozen = frozen(layer, own, source, in: graph)
        let results = layer.parts.indices.map { part in
            let inputs = stepInputs(layer.parts[part], part, in: graph)
            var (projections, besides) = (own, frozen)
            if let heads = layer.parts[part].plan.heads, layer.parts.count > 1 {
                let plan = layer.parts[part].plan
                projections = own.restricted(to: heads, plan, inputs, in: graph)
                besides = frozen?.restricted(to: heads, plan.geometry, inputs)
            }
            return attend(projections, layer.parts[part], besides, reader: reader, inputs, own.input, in: graph)
        }
        let result = joined(results, layer, in: graph)
        guard sequences < columns else { return result }
        // What fills a step up attends to nothing; its numbers only have to be numbers.
        let rest = graph.view(
            projections.queries, [result[0], columns - sequences], strides: [projections.queries.strides[2]])
        return graph.concat(result, rest, along: 1)
    }

    private func stepInputs(_ cache: LayerCache, _ part: Int, in graph: Graph) -> StepInputs {
        let key = Key(cache, part: part, in: graph)
        let made = inputs[key] ?? StepInputs(in: graph)
        inputs[key] = made
        return made
    }

    /// One cache's part: `[headDim * queryHeads, sequences]` of its heads.
    private func attend(
        _ projections: BlockGraph.Projections, _ cache: LayerCache, _ frozen: FrozenStep?, reader: Int,
        _ inputs: StepInputs, _ input: Tensor, in graph: Graph
    ) -> Tensor {
        guard let scores = cache.scores else {
            let step = PositionalStep(
                graph: graph, inputs: inputs, cache: cache, projections: projections, frozen: frozen,
                scale: description.attentionScale)
            return step.attend(reads: reader > 0)
        }
        let geometry = description.geometry(of: cache.plan.geometry.layer)
        let formula = reader > 0 ? nil : scores.rule.featureSource?.formula
        var features = formula?.features(of: input, layer: geometry, in: graph)
        if let heads = cache.plan.heads, heads.count < geometry.kvHeads {
            features = features.map { all in
                let byHead = graph.reshape(all, [all.count / geometry.kvHeads, 1, geometry.kvHeads])
                return graph.heads(heads, of: byHead, layer: geometry.layer, inputs)
            }
        }
        let step = ScoredStep(
            graph: graph, inputs: inputs, cache: cache, scores: scores, projections: projections, features: features,
            frozen: frozen, scale: description.attentionScale)
        return reader > 0 ? scores.state.read(step, reader: reader) : scores.state.attend(step)
    }

    /// What a layer's tokens make of its frozen entries.
    private func frozen(
        _ layer: GraphLayer, _ projections: BlockGraph.Projections, _ index: Int, in graph: Graph
    ) -> FrozenStep? {
        guard let frozen = layer.frozen else { return nil }
        let geometry = description.geometry(of: index)
        var sights = Array(repeating: FrozenStep.Sight(slidingWindow: nil, sinks: 0), count: geometry.kvHeads)
        for part in layer.parts {
            let sight = FrozenStep.Sight(
                slidingWindow: part.plan.geometry.slidingWindow, sinks: part.plan.visibleSinks)
            for head in part.plan.heads ?? Array(sights.indices) { sights[head] = sight }
        }
        return FrozenStep(
            frozen, projections.frozenQueries ?? projections.queries, geometry, sights: sights,
            scale: description.attentionScale, stepInputs(layer.parts[0], 0, in: graph), in: graph)
    }

    /// The results of a layer's heads in order.
    private func joined(_ results: [Tensor], _ layer: GraphLayer, in graph: Graph) -> Tensor {
        guard results.count > 1 else { return results[0] }
        let heads = layer.parts.flatMap { $0.plan.heads! }
        let rows = zip(results, layer.parts).map { result, part in
            let count = part.plan.heads!.count
            return graph.reshape(result, [result.count / count, 1, count])
        }
        let all = rows.dropFirst().reduce(rows[0]) { graph.concat($0, $1, along: 2) }
        let places = heads.indices.sorted { heads[$0] < heads[$1] }
        let geometry = layer.parts[0].plan.geometry
        let sorted = graph.heads(places, of: all, layer: geometry.layer, stepInputs(layer.parts[0], 0, in: graph))
        return graph.reshape(sorted, [sorted.count, 1])
    }

    func prepare(_ feeds: ArraySlice<Feed>) {
        for (key, inputs) in inputs {
            inputs.fill { layer in
                feeds.map { StepSequence($0.cache.parts[layer][key.part], at: $0.cache.seen) }
            }
        }
    }
}

extension StepSequence {
    fileprivate init(_ layer: LayerCache, at position: Int) {
        let slot = layer.slot(of: position)
        self.init(
            position: position, origin: layer.origin, phase: layer.scores?.state.phase ?? 0, promptEnd: layer.promptEnd,
            pins: layer.pins,
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
            input: columns, queries: part(queries), keys: keys.map(part), values: values.map(part), sinks: sinks,
            frozenQueries: frozenQueries.map(part))
    }

    /// Those of some of the model's KV heads, of a single token.
    fileprivate func restricted(
        to heads: [Int], _ plan: LayerPlan, _ inputs: StepInputs, in graph: Graph
    ) -> BlockGraph.Projections {
        let dimension = plan.geometry.headDimension
        func part(_ tensor: Tensor) -> Tensor {
            let byHead = graph.reshape(tensor, [tensor.count / plan.modelHeads, 1, plan.modelHeads])
            return graph.heads(heads, of: byHead, layer: plan.geometry.layer, inputs)
        }
        func rows(_ tensor: Tensor) -> Tensor {
            let own = part(tensor)
            return graph.reshape(own, [dimension, own.count / dimension, 1])
        }
        return BlockGraph.Projections(
            input: input, queries: rows(queries), keys: keys.map(rows), values: values.map(rows),
            sinks: sinks.map { sinks in
                let own = part(sinks)
                return graph.reshape(own, [own.count])
            })
    }
}
