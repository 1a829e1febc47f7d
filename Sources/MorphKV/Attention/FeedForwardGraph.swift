internal import Ggml

extension BlockGraph {
    /// A block's feed-forward network, and the norms before and behind it.
    struct SecondHalf {
        let norm: Tensor?
        let weights: FeedForwardWeights
        let description: FeedForward
        let postNorm: Tensor?
    }

    /// - Parameter index: see ``DecoderDescription/attentionBlock(_:)``.
    func secondHalf(ofLayer index: Int) -> SecondHalf {
        let layer = weights.layers[index]
        return SecondHalf(
            norm: layer.feedForwardNorm, weights: layer.feedForward,
            description: description.attentionBlock(index).feedForward, postNorm: layer.feedForwardPostNorm)
    }

    /// - Parameter index: in ``DecoderDescription/recurrentBlocks``.
    func secondHalf(ofRecurrentBlock index: Int) -> SecondHalf {
        let block = weights.recurrentBlocks[index]
        return SecondHalf(
            norm: block.feedForwardNorm, weights: block.feedForward,
            description: description.recurrentBlocks[index].feedForward, postNorm: nil)
    }

    /// A block's second half with its residual, `[embedding, tokens]` to the same.
    ///
    /// - Parameter groups: which experts tokens get, where that is known; nil: they are chosen here.
    func pass(_ middle: Tensor, through half: SecondHalf, groups: ExpertGroups.Inputs? = nil) -> Tensor {
        let x =
            half.weights.norms.map { parallel(middle, half, $0) }
            ?? feedForward(normed(middle, by: half.norm), half.weights, half.description, groups)
        return graph.add(scaled(normed(x, by: half.postNorm), by: description.residualScale), middle)
    }

    /// The experts that tokens get, without more; see ``pass(_:through:groups:)``.
    func choice(_ middle: Tensor, of half: SecondHalf) -> ExpertChoice {
        choose(
            normed(middle, by: half.norm), by: half.weights.router!, bias: half.weights.choiceBias,
            half.description.experts!)
    }

    private func feedForward(
        _ x: Tensor, _ weights: FeedForwardWeights, _ description: FeedForward, _ groups: ExpertGroups.Inputs?
    ) -> Tensor {
        guard let router = weights.router, let experts = description.experts else {
            return network(x, weights.network, description)
        }
        let mixed =
            groups.map { mix(x, $0, weights.network, description.activation) }
            ?? mix(
                x, choose(x, by: router, bias: weights.choiceBias, experts), weights.network, description.activation)
        guard let shared = weights.shared else { return mixed }
        let common = network(x, shared, description)
        let gate = weights.sharedGate.map { graph.sigmoid(apply($0, x)) }
        return graph.add(mixed, gate.map { graph.multiply(common, $0) } ?? common)
    }

    /// A network and the experts beside it, each with norms of its own; the router has its own scale of the input.
    private func parallel(_ x: Tensor, _ half: SecondHalf, _ norms: ParallelNorms) -> Tensor {
        let (weights, description) = (half.weights, half.description)
        let experts = description.experts!
        let common = network(normed(x, by: half.norm), weights.shared!, description)
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
        return apply(weights.down, graph.geglu(gate: sparse(gate, sparsity), up: up))
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
    struct ExpertChoice {
        /// i32 `[used, tokens]`.
        let indices: Tensor
        /// `[1, used, tokens]`.
        let weights: Tensor
    }

    private func choose(
        _ x: Tensor, by router: Projection, bias: Tensor?, _ experts: FeedForward.Experts
    ) -> ExpertChoice {
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
        return ExpertChoice(indices: indices, weights: scaled(weights, by: experts.weightScale))
    }

    /// What each token's experts make of it, added up by their weights.
    private func mix(
        _ x: Tensor, _ choice: ExpertChoice, _ weights: NetworkWeights, _ activation: FeedForward.Activation,
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
        return sum(graph.reshape(results, [width, used * tokens]), used)
    }

    /// The sum of each token's results: `[width, used * tokens]` to `[width, tokens]`.
    private func sum(_ results: Tensor, _ used: Int) -> Tensor {
        let (width, row) = (results[0], results.strides[1])
        let parts = (0..<used).map { expert in
            graph.view(results, [width, results[1] / used], strides: [used * row], offset: expert * row)
        }
        return used == 1 ? graph.contiguous(parts[0]) : parts.dropFirst().reduce(parts[0], graph.add)
    }

    /// The same, one expert after the other.
    private func mix(
        _ x: Tensor, _ inputs: ExpertGroups.Inputs, _ weights: NetworkWeights, _ activation: FeedForward.Activation
    ) -> Tensor {
        for group in inputs.groups.list {
            func apply(_ projection: Projection, _ x: Tensor) -> Tensor {
                let (all, biases) = (projection.weight, projection.bias)
                let own = graph.view(
                    all, [all[0], all[1]], strides: [all.strides[1]], offset: group.expert * all.strides[2])
                let product = graph.matmul(own, x)
                return biases.map {
                    graph.add(product, graph.view($0, [$0[0]], offset: group.expert * $0.strides[1]))
                } ?? product
            }
            let part = { (a: Tensor) in graph.view(a, [group.range.count], offset: 4 * group.range.lowerBound) }
            let input = graph.rows(x, at: part(inputs.tokens))
            let gate = weights.gate.map { apply($0, input) }
            let result = apply(weights.down, gated(gate, apply(weights.up, input), activation))
            let share = graph.reshape(part(inputs.shares), [1, group.range.count])
            graph.schedule(
                graph.setRows(of: inputs.results, to: graph.multiply(result, share), at: part(inputs.places)))
        }
        return sum(inputs.results, inputs.groups.used)
    }
}

extension FeedForward {
    /// An upper bound on the operations and views that experts take in a graph, and one network beyond the simplest one.
    var operations: Int { experts.map { 68 + 2 * $0.used } ?? (sparsity == nil ? 4 : 12) }
}
