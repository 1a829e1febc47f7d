internal import Ggml

/// The parts of a transformer block around attention, for any number of tokens at a time.
struct BlockGraph {
    let graph: Graph
    let description: DecoderDescription
    let weights: Weights

    /// Queries, keys and values of a layer, after RoPE: `[headDim, heads, tokens]`.
    struct Projections {
        /// What they were computed from: the layer's normed input, `[embedding, tokens]`.
        let input: Tensor
        let queries: Tensor
        /// nil in blocks that attend to the keys and values of an earlier layer.
        let keys: Tensor?
        let values: Tensor?
        /// A term of each query head's softmax that no entry gets, `[queryHeads]`; nil if there is none.
        var sinks: Tensor?
        /// The queries as frozen entries see them, which are moved together; nil if they see ``queries``.
        var frozenQueries: Tensor?
        /// What attention is multiplied by, `[headDim * queryHeads, tokens]`; nil if by nothing.
        var gate: Tensor?
    }

    /// - Parameters:
    ///   - input: the residual streams, `[hidden, tokens]`.
    ///   - index: see ``DecoderDescription/attentionBlock(_:)``.
    ///   - positions: where the tokens are.
    ///   - movesFrozen: whether frozen entries see other positions.
    func project(
        _ input: Tensor, layer index: Int, positions: TokenPositions, movesFrozen: Bool = false
    ) -> Projections {
        let (layer, own) = (weights.layers[index], description.attentionBlock(index))
        let normed = attentionInput(input, layer: index)
        var (q, k, v, gate) = split(normed, layer, own)
        q = headsNormed(q, by: layer.queryNorm)
        // Where there are no values, they are the keys as they were projected.
        if k != nil, v == nil { v = k }
        k = k.map { headsNormed($0, by: layer.keyNorm) }
        if description.normalizesValues { v = v.map { graph.rmsNorm($0, epsilon: description.normEpsilon) } }
        if let factors = positions.queryFactors { q = graph.multiply(q, factors) }
        var frozen: Tensor?
        if let rope = own.rope {
            let factors = own.usesRopeFactors ? weights.ropeFactors[graph.backend.device] : nil
            let rotated = { graph.rope($0, positions: $1, factors: factors, rope) }
            if movesFrozen { frozen = rotated(q, positions.frozen) }
            q = rotated(q, positions.rotary)
            k = k.map { rotated($0, positions.rotary) }
        }
        return Projections(
            input: normed, queries: contiguous(q), keys: k.map(contiguous), values: v.map(contiguous),
            sinks: layer.attentionSinks, frozenQueries: frozen, gate: gate.map(graph.sigmoid))
    }

    /// What a layer computes queries, keys and values from: `[embedding, tokens]`.
    ///
    /// - Parameter stream: the residual streams before it, `[hidden, tokens]`.
    func attentionInput(_ stream: Tensor, layer index: Int) -> Tensor {
        let active = weights.layers[index].alternatives.map { prediction(stream, $0).active } ?? stream
        return normed(active, by: weights.layers[index].attentionNorm)
    }

    func normed(_ x: Tensor, by weight: Tensor?) -> Tensor {
        weight.map { graph.rmsNorm(x, weight: $0, epsilon: description.normEpsilon) } ?? x
    }

    /// - Parameters:
    ///   - x: `[headDim, heads, tokens]`.
    ///   - weight: for one head, or for all together.
    private func headsNormed(_ x: Tensor, by weight: Tensor?) -> Tensor {
        guard let weight, weight.count != x[0] else { return normed(x, by: weight) }
        let whole = graph.reshape(contiguous(x), [weight.count, x[2]])
        return graph.reshape(normed(whole, by: weight), [x[0], x[1], x[2]])
    }

    func contiguous(_ x: Tensor) -> Tensor { x.isContiguous ? x : graph.contiguous(x) }

    /// Queries, keys and values if there are some, and the gate's logits if there is one.
    private func split(
        _ x: Tensor, _ layer: LayerWeights, _ own: DecoderDescription.Layer
    ) -> (Tensor, Tensor?, Tensor?, Tensor?) {
        let d = own.headDimension
        let tokens = x[1]
        if let fused = layer.queryKeyValue {
            let all = apply(fused, x)
            let row = all.strides[1]
            func part(_ heads: Int, after: Int) -> Tensor {
                graph.view(all, [d, heads, tokens], strides: [d * 4, row], offset: after * d * 4)
            }
            let (queries, keys) = (description.queryHeads, own.kvHeads)
            if layer.keyNorm == nil, description.queryKeyNorm != nil { return (part(queries, after: 0), nil, nil, nil) }
            return (part(queries, after: 0), part(keys, after: queries), part(keys, after: queries + keys), nil)
        }
        func heads(_ projection: Projection?, _ count: Int) -> Tensor {
            graph.reshape(apply(projection!, x), [d, count, tokens])
        }
        let keys = layer.key.map { heads($0, own.kvHeads) }
        let values = layer.value.map { heads($0, own.kvHeads) }
        guard description.gatesAttention else { return (heads(layer.query, description.queryHeads), keys, values, nil) }
        // Each head's query, then its gate.
        let both = apply(layer.query!, x)
        func half(_ index: Int) -> Tensor {
            graph.view(
                both, [d, description.queryHeads, tokens], strides: [2 * d * 4, both.strides[1]], offset: index * d * 4)
        }
        let gate = graph.reshape(graph.contiguous(half(1)), [d * description.queryHeads, tokens])
        return (half(0), keys, values, gate)
    }

    /// Output projection, residual and feed-forward network.
    ///
    /// - Parameters:
    ///   - attention: `[headDim * queryHeads, tokens]`.
    ///   - gate: likewise: what it is multiplied by; nil if by nothing.
    ///   - input: the residual streams before the block, `[hidden, tokens]`.
    ///   - own: what the block gets besides, `[perLayerLength, tokens]`; nil if it gets nothing.
    /// - Returns: the residual streams after the block.
    func finish(_ attention: Tensor, gate: Tensor?, input: Tensor, own: Tensor? = nil, layer index: Int) -> Tensor {
        let layer = weights.layers[index]
        if let alternatives = layer.alternatives {
            return finish(attended(attention, gate, layer), alternatives, input: input, own: own!, layer: index)
        }
        let middle = middle(attention, gate: gate, input: input, layer: index)
        var result = pass(middle, through: secondHalf(ofLayer: index))
        if let own, let perLayer = layer.perLayer { result = graph.add(result, taken(own, by: perLayer, result)) }
        return layer.scale.map { graph.multiply(result, $0) } ?? result
    }

    /// The one residual stream between the two halves of a block; the arguments are those of
    /// ``finish(_:gate:input:own:layer:)``.
    func middle(_ attention: Tensor, gate: Tensor?, input: Tensor, layer index: Int) -> Tensor {
        let attended = attended(attention, gate, weights.layers[index])
        return graph.add(scaled(attended, by: description.residualScale), input)
    }

    private func attended(_ attention: Tensor, _ gate: Tensor?, _ layer: LayerWeights) -> Tensor {
        let gated = gate.map { graph.multiply(attention, $0) } ?? attention
        return normed(apply(layer.attentionOutput, gated), by: layer.attentionPostNorm)
    }

    func scaled(_ x: Tensor, by factor: Float) -> Tensor { factor == 1 ? x : graph.scale(x, by: factor) }

    /// Logits `[vocabulary, tokens]` of the residual streams after the last block.
    func logits(_ streams: Tensor) -> Tensor {
        let x = left(streams)
        let logits = scaled(apply(weights.output, normed(x, by: weights.outputNorm)), by: description.logitScale)
        return description.finalSoftcap.map { graph.softCapped(logits, by: $0) } ?? logits
    }

    func apply(_ projection: Projection, _ x: Tensor) -> Tensor {
        let product = graph.matmul(projection.weight, x)
        return projection.bias.map { graph.add(product, $0) } ?? product
    }
}
