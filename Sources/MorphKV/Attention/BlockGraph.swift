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
        let keys: Tensor
        let values: Tensor
        /// The queries as frozen entries see them, which are moved together; nil if they see ``queries``.
        var frozenQueries: Tensor?
    }

    /// - Parameters:
    ///   - input: the residual stream, `[embedding, tokens]`.
    ///   - positions: i32 `[tokens]`.
    ///   - frozenPositions: the same as frozen entries see them; nil if they see the same.
    func project(
        _ input: Tensor, layer index: Int, positions: Tensor, frozenPositions: Tensor? = nil
    ) -> Projections {
        let layer = weights.layers[index]
        let normed = graph.rmsNorm(input, weight: layer.attentionNorm, epsilon: description.normEpsilon)
        var (q, k, v) = split(normed, layer)
        if let norm = layer.queryNorm { q = graph.rmsNorm(q, weight: norm, epsilon: description.normEpsilon) }
        if let norm = layer.keyNorm { k = graph.rmsNorm(k, weight: norm, epsilon: description.normEpsilon) }
        let rope = description.layers[index].rope
        let frozen = frozenPositions.map {
            graph.rope(q, positions: $0, factors: weights.ropeFactors, rope)
        }
        q = graph.rope(q, positions: positions, factors: weights.ropeFactors, rope)
        k = graph.rope(k, positions: positions, factors: weights.ropeFactors, rope)
        if !v.isContiguous { v = graph.contiguous(v) }
        return Projections(input: normed, queries: q, keys: k, values: v, frozenQueries: frozen)
    }

    private func split(_ x: Tensor, _ layer: LayerWeights) -> (Tensor, Tensor, Tensor) {
        let d = description.headDimension
        let tokens = x[1]
        if let fused = layer.queryKeyValue {
            let all = apply(fused, x)
            let row = all.strides[1]
            func part(_ heads: Int, after: Int) -> Tensor {
                graph.view(all, [d, heads, tokens], strides: [d * 4, row], offset: after * d * 4)
            }
            let (queries, keys) = (description.queryHeads, description.kvHeads)
            return (part(queries, after: 0), part(keys, after: queries), part(keys, after: queries + keys))
        }
        func heads(_ projection: Projection?, _ count: Int) -> Tensor {
            graph.reshape(apply(projection!, x), [d, count, tokens])
        }
        return (
            heads(layer.query, description.queryHeads), heads(layer.key, description.kvHeads),
            heads(layer.value, description.kvHeads)
        )
    }

    /// Output projection, residual and feed-forward network.
    ///
    /// - Parameters:
    ///   - attention: `[headDim * queryHeads, tokens]`.
    ///   - input: the residual stream before the block, `[embedding, tokens]`.
    /// - Returns: the residual stream after the block.
    func finish(_ attention: Tensor, input: Tensor, layer index: Int) -> Tensor {
        let layer = weights.layers[index]
        var x = apply(layer.attentionOutput, attention)
        if let norm = layer.attentionPostNorm {
            x = graph.rmsNorm(x, weight: norm, epsilon: description.normEpsilon)
        }
        let middle = graph.add(x, input)
        let normed = graph.rmsNorm(middle, weight: layer.feedForwardNorm, epsilon: description.normEpsilon)
        x = apply(layer.down, gated(normed, layer))
        if let norm = layer.feedForwardPostNorm {
            x = graph.rmsNorm(x, weight: norm, epsilon: description.normEpsilon)
        }
        return graph.add(x, middle)
    }

    private func gated(_ x: Tensor, _ layer: LayerWeights) -> Tensor {
        let up = apply(layer.up, x)
        guard let gate = layer.gate else { return graph.swiglu(up) }
        switch description.activation {
        case .silu: return graph.swiglu(gate: apply(gate, x), up: up)
        case .gelu: return graph.geglu(gate: apply(gate, x), up: up)
        }
    }

    /// Logits `[vocabulary, tokens]` of the residual stream after the last block.
    func logits(_ x: Tensor) -> Tensor {
        let normed = graph.rmsNorm(x, weight: weights.outputNorm, epsilon: description.normEpsilon)
        let logits = apply(weights.output, normed)
        guard let cap = description.finalSoftcap else { return logits }
        return graph.scale(graph.tanh(graph.scale(logits, by: 1 / cap)), by: cap)
    }

    private func apply(_ projection: Projection, _ x: Tensor) -> Tensor {
        let product = graph.matmul(projection.weight, x)
        return projection.bias.map { graph.add(product, $0) } ?? product
    }
}
