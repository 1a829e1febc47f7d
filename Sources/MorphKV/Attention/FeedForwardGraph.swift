internal import Ggml

extension BlockGraph {
    /// The feed-forward network of a block: `[embedding, tokens]` to the same.
    func feedForward(_ x: Tensor, _ weights: FeedForwardWeights, _ description: FeedForward) -> Tensor {
        guard let router = weights.router, let experts = description.experts else {
            return network(x, weights.network, description)
        }
        let chosen = choose(x, by: router, bias: weights.choiceBias, experts)
        let mixed = mix(x, chosen, weights.network, description.activation)
        guard let shared = weights.shared else { return mixed }
        let common = network(x, shared, description)
        let gate = weights.sharedGate.map { graph.sigmoid(apply($0, x)) }
        return graph.add(mixed, gate.map { graph.multiply(common, $0) } ?? common)
    }

    /// A network and the experts beside it, each with norms of its own; the router has its own scale of the input.
    func parallel(
        _ x: Tensor, _ layer: LayerWeights, _ norms: ParallelNorms, _ description: FeedForward
    ) -> Tensor {
        let (weights, experts) = (layer.feedForward, description.experts!)
        let common = network(normed(x, by: layer.feedForwardNorm), weights.shared!, description)
        let plain = graph.rmsNorm(x, epsilon: self.description.normEpsilon)
        let routed = graph.multiply(graph.scale(plain, by: 1 / Float(x[0]).squareRoot()), norms.routerScale)
        let chosen = choose(routed, by: weights.router!, bias: nil, experts)
        let mixed = mix(
            normed(x, by: norms.before), chosen, weights.network, description.activation, scales: norms.expertScales)
        return graph.add(normed(common, by: norms.behindNetwork), normed(mixed, by: norms.behindExperts))
    }

    private func network(_ x: Tensor, _ weights: NetworkWeights, _ description: FeedForward) -> Tensor {
        let gate = weights.gate.map { apply($0, x) }
        let up = apply(weights.up, x)
        guard let sparsity = description.sparsity, let gate else {
            return apply(weights.down, gated(gate, up, description.activation))
        }
        return apply(weights.down, graph.multiply(graph.gelu(sparse(gate, sparsity)), up))
    }

    /// How far gates are above so many standard deviations over their mean; 0 for others.
    private func sparse(_ gate: Tensor, _ deviations: Float) -> Tensor {
        let mean = graph.scale(graph.sumRows(gate), by: 1 / Float(gate[0]))
        let distance = graph.subtract(gate, mean)
        let squares = graph.sumRows(graph.multiply(distance, distance))
        let deviation = graph.squareRoot(graph.scale(squares, by: 1 / Float(gate[0] - 1)))
        return graph.relu(graph.subtract(gate, graph.add(mean, graph.scale(deviation, by: deviations))))
    }

    /// - Parameters:
    ///   - gate: nil if `up` holds both.
    private func gated(_ gate: Tensor?, _ up: Tensor, _ activation: FeedForward.Activation) -> Tensor {
        switch (activation, gate) {
        case (.silu, let gate?): graph.swiglu(gate: gate, up: up)
        case (.silu, nil): graph.swiglu(up)
        case (.gelu, let gate?): graph.geglu(gate: gate, up: up)
        case (.gelu, nil): graph.geglu(up)
        case (.clampedSilu, let gate?): graph.clampedSwiglu(gate: gate, up: up)
        case (.clampedSilu, nil): preconditionFailure("no architecture has both in one tensor")
        }
    }

    // MARK: Experts

    /// The experts of each token.
    private struct Choice {
        /// i32 `[used, tokens]`.
        let indices: Tensor
        /// `[1, used, tokens]`.
        let weights: Tensor
    }

    private func choose(
        _ x: Tensor, by router: Projection, bias: Tensor?, _ experts: FeedForward.Experts
    ) -> Choice {
        let tokens = x[1]
        let logits = apply(router, x)
        let values =
            experts.weighsChosenOnly ? logits : experts.usesSigmoid ? graph.sigmoid(logits) : graph.softmax(logits)
        let indices = graph.largest(experts.used, of: bias.map { graph.add(values, $0) } ?? values)
        var weights = graph.rows(graph.reshape(values, [1, experts.count, tokens]), at: indices)
        if experts.weighsChosenOnly {
            let shares = graph.softmax(graph.reshape(weights, [experts.used, tokens]))
            weights = graph.reshape(shares, [1, experts.used, tokens])
        } else if experts.normalizesWeights {
            let row = graph.reshape(weights, [experts.used, tokens])
            // As libllama does: no division by what is nearly nothing.
            let sum = graph.clamp(graph.sumRows(row), to: 6.103515625e-5...(.infinity))
            weights = graph.reshape(graph.divide(row, by: sum), [1, experts.used, tokens])
        }
        return Choice(indices: indices, weights: scaled(weights, by: experts.weightScale))
    }

    /// What each token's experts make of it, added up by their weights.
    private func mix(
        _ x: Tensor, _ choice: Choice, _ weights: NetworkWeights, _ activation: FeedForward.Activation,
        scales: Tensor? = nil
    ) -> Tensor {
        func apply(_ projection: Projection, _ x: Tensor) -> Tensor {
            let product = graph.matmul(projection.weight, x, at: choice.indices)
            return projection.bias.map { graph.add(product, $0, at: choice.indices) } ?? product
        }
        let (width, tokens, used) = (x[0], x[1], choice.indices[0])
        let input = graph.reshape(x, [width, 1, tokens])
        let gate = weights.gate.map { apply($0, input) }
        var shares = choice.weights
        if let scales {
            let all = graph.repeated(graph.reshape(scales, [1, scales.count, 1]), to: [1, scales.count, tokens])
            shares = graph.multiply(shares, graph.rows(all, at: choice.indices))
        }
        let results = graph.multiply(
            apply(weights.down, gated(gate, apply(weights.up, input), activation)), shares)
        let parts = (0..<used).map { expert in
            graph.view(results, [width, tokens], strides: [results.strides[2]], offset: expert * results.strides[1])
        }
        return used == 1 ? graph.contiguous(parts[0]) : parts.dropFirst().reduce(parts[0], graph.add)
    }
}

extension FeedForward {
    /// An upper bound on the operations and views that experts take in a graph, beyond those of one network.
    var operations: Int { experts.map { 60 + 2 * $0.used } ?? (sparsity == nil ? 0 : 12) }
}
