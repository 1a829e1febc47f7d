internal import Ggml

// What goes through the blocks besides one residual stream: several of them (AltUp), and numbers of each block's own.
extension BlockGraph {
    /// Before the first block: the residual streams of tokens, `[hidden, tokens]`, and what all blocks get besides,
    /// `[perLayerLengths, tokens]`, if they get something.
    ///
    /// - Parameter input: what was looked up, `[inputLength, tokens]`.
    func enter(_ input: Tensor) -> (hidden: Tensor, own: Tensor?) {
        guard description.hasStreams else { return (input, nil) }
        let (e, tokens) = (description.embeddingLength, input[1])
        func part(_ length: Int, after: Int) -> Tensor {
            graph.contiguous(graph.view(input, [length, tokens], strides: [input.strides[1]], offset: 4 * after))
        }
        let embeddings = part(e, after: 0)
        var own: Tensor?
        if let inputs = weights.perLayerInputs {
            let shape = [description.perLayerLength, description.blockCount, tokens]
            let projected = graph.scale(apply(inputs.projection, embeddings), by: 1 / Float(e).squareRoot())
            let mixed = graph.add(
                normed(graph.reshape(projected, shape), by: inputs.norm),
                graph.reshape(part(description.perLayerLengths, after: e), shape))
            own = graph.reshape(graph.scale(mixed, by: Float(0.5).squareRoot()), [description.perLayerLengths, tokens])
        }
        return (weights.streams.map { entered(embeddings, $0) } ?? embeddings, own)
    }

    /// What one block gets besides, `[perLayerLength, tokens]`.
    ///
    /// - Parameter own: what all blocks get.
    func own(_ own: Tensor?, layer index: Int) -> Tensor? {
        own.map { all in
            let length = description.perLayerLength
            let part = graph.view(
                all, [length, all[1]], strides: [all.strides[1]],
                offset: 4 * length * description.attentionBlock(index).block)
            return graph.backend.device.usesHostMemory ? part : graph.contiguous(part)
        }
    }

    /// The residual streams, and what all blocks get besides, of columns `[streamLength, tokens]` between two blocks.
    func streams(of columns: Tensor) -> (hidden: Tensor, own: Tensor?) {
        guard description.hasStreams else { return (columns, nil) }
        let (hidden, own) = (description.hiddenLength, description.perLayerLengths)
        func part(_ length: Int, after: Int) -> Tensor {
            graph.view(columns, [length, columns[1]], strides: [columns.strides[1]], offset: 4 * after)
        }
        return (graph.contiguous(part(hidden, after: 0)), own > 0 ? part(own, after: hidden) : nil)
    }

    /// Where the residual streams of columns lie, for writing.
    func place(of columns: Tensor) -> Tensor {
        guard description.hasStreams else { return columns }
        return graph.view(columns, [description.hiddenLength, columns[1]], strides: [columns.strides[1]])
    }

    /// What a block makes of the numbers that are its own, `[embedding, tokens]`.
    func taken(_ own: Tensor, by weights: PerLayerWeights, _ x: Tensor) -> Tensor {
        let gated = graph.geglu(gate: apply(weights.gate, x), up: own)
        return normed(apply(weights.output, gated), by: weights.norm)
    }

    // MARK: Several streams

    private var count: Int { description.alternatives?.count ?? 1 }

    /// The first stream of `[embedding * streams, tokens]`.
    private func first(_ streams: Tensor) -> Tensor {
        graph.contiguous(
            graph.view(streams, [description.embeddingLength, streams[1]], strides: [streams.strides[1]]))
    }

    /// All streams but the first, `[embedding, streams - 1, tokens]`.
    private func others(_ streams: Tensor) -> Tensor {
        let row = 4 * description.embeddingLength
        return graph.view(
            streams, [description.embeddingLength, count - 1, streams[1]], strides: [row, streams.strides[1]],
            offset: row)
    }

    private func magnitude(_ x: Tensor) -> Tensor { graph.squareRoot(graph.sumRows(graph.multiply(x, x))) }

    /// `[embedding * streams, tokens]`: the embeddings, and what is made of them, as large as they.
    private func entered(_ x: Tensor, _ weights: StreamWeights) -> Tensor {
        let (e, tokens) = (x[0], x[1])
        let made = graph.matmul(weights.entering, graph.repeated(x, to: [e, tokens, count - 1]))
        let sized = graph.divide(graph.multiply(made, magnitude(x)), by: magnitude(made))
        let byToken = graph.contiguous(graph.permute(sized, [0, 2, 1, 3]))
        let all = graph.concat(graph.reshape(x, [e, 1, tokens]), byToken, along: 1)
        return graph.reshape(all, [e * count, tokens])
    }

    /// One stream of all, `[embedding, tokens]`: the mean of the first and of what is made of the others, as large as it.
    private func left(_ streams: Tensor, _ weights: StreamWeights) -> Tensor {
        let (e, tokens) = (description.embeddingLength, streams[1])
        let one = first(streams)
        let rest = graph.contiguous(graph.permute(others(streams), [0, 2, 1, 3]))
        let made = graph.matmul(weights.leaving, rest)
        let sized = graph.divide(graph.multiply(made, magnitude(one)), by: magnitude(made))
        let sum = (0..<count - 1).reduce(one) { sum, index in
            graph.add(
                sum, graph.view(sized, [e, tokens], strides: [sized.strides[1]], offset: index * sized.strides[2]))
        }
        return graph.scale(sum, by: 1 / Float(count))
    }

    /// What the output is made from: the one residual stream.
    func left(_ streams: Tensor) -> Tensor { weights.streams.map { left(streams, $0) } ?? streams }

    /// A factor for each stream: `[streams, tokens]`.
    private func routed(_ x: Tensor, _ weights: AlternativeWeights) -> Tensor {
        let input = graph.scale(normed(x, by: weights.routerNorm), by: 1 / Float(description.embeddingLength))
        return graph.tanh(apply(weights.router, input))
    }

    /// The streams as a block expects them, `[embedding, streams, tokens]`, and the one that goes through it.
    func prediction(_ streams: Tensor, _ weights: AlternativeWeights) -> (all: Tensor, active: Tensor) {
        let (e, tokens) = (description.embeddingLength, streams[1])
        let factors = graph.reshape(
            apply(weights.prediction, routed(first(streams), weights)), [count, count, tokens])
        let now = graph.reshape(streams, [e, count, tokens])
        let byStream = graph.contiguous(graph.permute(now, [1, 0, 2, 3]))
        let all = graph.add(graph.matmul(byStream, factors), now)
        return (all, first(graph.reshape(all, [e * count, tokens])))
    }

    /// A block's second half: beside attention stands a product of low rank, and what was predicted is corrected.
    func finish(
        _ attended: Tensor, _ alternatives: AlternativeWeights, input: Tensor, own: Tensor, layer index: Int
    ) -> Tensor {
        let (e, tokens, layer) = (description.embeddingLength, input[1], weights.layers[index])
        let (predicted, active) = prediction(input, alternatives)
        let x = normed(active, by: layer.attentionNorm)
        let product = apply(alternatives.right, apply(alternatives.left, x))
        let beside = graph.add(normed(product, by: alternatives.norm), x)
        let middle = graph.scale(graph.add(graph.add(attended, active), beside), by: Float(0.5).squareRoot())
        let result = pass(middle, through: secondHalf(ofLayer: index))
        // What came out otherwise than predicted corrects all streams, each by its factor.
        let factors = graph.scale(apply(alternatives.correction, routed(result, alternatives)), by: 1, plus: 1)
        let surprise = graph.repeated(
            graph.reshape(graph.subtract(result, active), [e, 1, tokens]), to: [e, count, tokens])
        let corrected = graph.reshape(
            graph.add(graph.multiply(surprise, graph.reshape(factors, [1, count, tokens])), predicted),
            [e * count, tokens])
        let one = first(corrected)
        let addition = taken(own, by: layer.perLayer!, graph.multiply(one, alternatives.correctionScale))
        let rest = graph.add(others(corrected), graph.reshape(addition, [e, 1, tokens]))
        return graph.reshape(
            graph.concat(graph.reshape(one, [e, 1, tokens]), rest, along: 1), [e * count, tokens])
    }
}
