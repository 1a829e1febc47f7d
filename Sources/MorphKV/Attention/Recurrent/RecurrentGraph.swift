internal import Foundation
internal import Ggml

extension BlockGraph {
    /// The blocks without attention between a layer and the one before it: the residual stream before them to that after
    /// them, `[embedding, tokens]`.
    func passRecurrentBlocks(_ input: Tensor, before layer: Int, by recurrence: any Recurrence) -> Tensor {
        description.recurrentBlocks(before: layer).reduce(input) { stream, index in
            let mixed = mix(stream, recurrentBlock: index, by: recurrence)
            let half = secondHalf(ofRecurrentBlock: index)
            return pass(middle(mixed, input: stream, recurrentBlock: index), through: half)
        }
    }

    /// What a block without attention makes of tokens and what it remembers, which goes on.
    ///
    /// - Parameter input: the residual stream before the block, `[embedding, tokens]`.
    /// - Returns: what its output is projected from, a column for each token.
    func mix(_ input: Tensor, recurrentBlock index: Int, by recurrence: any Recurrence) -> Tensor {
        let block = weights.recurrentBlocks[index]
        let x = normed(input, by: block.norm)
        switch (block.mixer, description.recurrentBlocks[index].kind) {
        case (.gatedDeltaNet(let weights), .gatedDeltaNet(let net)):
            return gatedDeltaNet(x, weights, net) {
                recurrence.convolve($0, by: $1, block: index, in: graph)
            } learn: {
                recurrence.learn($0, block: index, in: graph)
            }
        case (.shortConvolution(let weights), _):
            return shortConvolution(x, weights) { recurrence.convolve($0, by: $1, block: index, in: graph) }
        case (.stateSpace(let weights), .stateSpace(let space)):
            return stateSpace(x, weights, space) {
                recurrence.convolve($0, by: $1, block: index, in: graph)
            } scan: {
                recurrence.scan($0, block: index, in: graph)
            }
        case (.gatedDeltaNet, _), (.stateSpace, _): preconditionFailure("weights are loaded by the description")
        }
    }

    /// The residual stream between the two halves of a block without attention, of some of its tokens.
    ///
    /// - Parameters:
    ///   - mixed: what ``mix(_:recurrentBlock:by:)`` makes of them.
    ///   - input: the residual stream before the block.
    func middle(_ mixed: Tensor, input: Tensor, recurrentBlock index: Int) -> Tensor {
        let output = apply(weights.recurrentBlocks[index].mixer.output, mixed)
        return graph.add(scaled(output, by: description.residualScale), input)
    }

    private func shortConvolution(
        _ x: Tensor, _ weights: ShortConvolutionWeights, convolve: (Tensor, Tensor) -> Tensor
    ) -> Tensor {
        let all = apply(weights.input, x)
        func part(_ index: Int) -> Tensor {
            graph.view(all, [x[0], x[1]], strides: [all.strides[1]], offset: index * 4 * x[0])
        }
        let convolved = convolve(graph.multiply(part(0), part(2)), weights.convolution)
        return graph.multiply(convolved, part(1))
    }

    // MARK: State space

    private func stateSpace(
        _ x: Tensor, _ weights: StateSpaceWeights, _ space: RecurrentBlock.StateSpace,
        convolve: (Tensor, Tensor) -> Tensor, scan: (StateSpaceInputs) -> Tensor
    ) -> Tensor {
        let (tokens, inner) = (x[1], space.inner)
        let all = apply(weights.input, x)
        func part(_ count: Int, after: Int) -> Tensor {
            graph.contiguous(graph.view(all, [count, tokens], strides: [all.strides[1]], offset: 4 * after))
        }
        let convolved = graph.silu(
            graph.add(
                convolve(part(space.channels, after: inner), weights.convolution), weights.convolutionBias))
        func heads(_ size: Int, _ count: Int, after: Int) -> Tensor {
            graph.view(
                convolved, [size, count, tokens], strides: [4 * size, convolved.strides[1]], offset: 4 * after)
        }
        let answer = scan(
            StateSpaceInputs(
                queries: heads(space.stateSize, space.groups, after: inner + space.groups * space.stateSize),
                keys: heads(space.stateSize, space.groups, after: inner),
                values: heads(space.size, space.heads, after: 0),
                steps: graph.add(part(space.heads, after: inner + space.channels), weights.stepBias),
                rates: weights.rates, passing: weights.passing))
        let gated = graph.swiglu(
            gate: part(inner, after: 0), up: graph.reshape(contiguous(answer), [inner, tokens]))
        let grouped = graph.reshape(gated, [inner / space.groups, space.groups, tokens])
        return graph.reshape(normed(grouped, by: weights.norm), [inner, tokens])
    }

    // MARK: Gated delta net

    private func gatedDeltaNet(
        _ x: Tensor, _ weights: GatedDeltaNetWeights, _ net: RecurrentBlock.GatedDeltaNet,
        convolve: (Tensor, Tensor) -> Tensor, learn: (DeltaInputs) -> Tensor
    ) -> Tensor {
        let (size, tokens) = (net.size, x[1])
        let all = graph.silu(convolve(apply(weights.queriesKeysValues, x), weights.convolution))
        func heads(_ count: Int, after: Int) -> Tensor {
            graph.view(
                all, [size, count, tokens], strides: [4 * size, all.strides[1]], offset: 4 * size * after)
        }
        let (rates, decays) = gates(x, weights, net)
        let fading = graph.multiply(graph.softplus(graph.add(decays, weights.decayBias)), weights.decayScale)
        let perHead = { (a: Tensor) in graph.reshape(a, [1, net.valueHeads, tokens]) }
        let answer = learn(
            DeltaInputs(
                queries: unitHeads(heads(net.keyHeads, after: 0), net),
                keys: unitHeads(heads(net.keyHeads, after: net.keyHeads), net),
                values: heads(net.valueHeads, after: 2 * net.keyHeads), decays: perHead(fading),
                rates: perHead(graph.sigmoid(rates))))
        let gate = graph.reshape(apply(weights.outputGate, x), [size, net.valueHeads, tokens])
        let gated = graph.multiply(normed(answer, by: weights.norm), graph.silu(gate))
        return graph.reshape(gated, [size * net.valueHeads, tokens])
    }

    /// Unit vectors, as many as value heads where these are not found by counting.
    private func unitHeads(_ a: Tensor, _ net: RecurrentBlock.GatedDeltaNet) -> Tensor {
        let (size, tokens) = (net.size, a[2])
        // As libllama does: epsilon is added to the sum of squares.
        let unit = graph.scale(
            graph.rmsNorm(a, epsilon: description.normEpsilon / Float(size)), by: 1 / Float(size).squareRoot())
        guard net.groupsHeads, net.valueHeads > net.keyHeads else { return unit }
        let group = net.valueHeads / net.keyHeads
        let repeated = graph.repeated(
            graph.reshape(unit, [size, 1, net.keyHeads * tokens]), to: [size, group, net.keyHeads * tokens])
        return graph.reshape(repeated, [size, net.valueHeads, tokens])
    }

    /// What makes each head's rate and decay: `[valueHeads, tokens]`.
    private func gates(
        _ x: Tensor, _ weights: GatedDeltaNetWeights, _ net: RecurrentBlock.GatedDeltaNet
    ) -> (rates: Tensor, decays: Tensor) {
        switch weights.gates {
        case .apart(let rates, let decays): return (apply(rates, x), apply(decays, x))
        case .together(let both):
            let (all, group, tokens) = (apply(both, x), net.valueHeads / net.keyHeads, x[1])
            func part(_ index: Int) -> Tensor {
                let heads = graph.view(
                    all, [group, net.keyHeads, tokens], strides: [2 * group * 4, all.strides[1]],
                    offset: index * group * 4)
                return graph.reshape(graph.contiguous(heads), [net.valueHeads, tokens])
            }
            return (part(0), part(1))
        }
    }
}

extension RecurrentBlock {
    /// An upper bound on the operations, views and inputs that the block takes in a graph.
    var operations: Int { 86 + feedForward.operations }
}
