internal import Ggml

extension WeightLoader {
    mutating func recurrentBlock(_ description: RecurrentBlock) throws -> RecurrentWeights {
        let d = self.description
        let e = d.embeddingLength
        let name = { (part: String) in "blk.\(description.block).\(part)" }
        let norm = try vector(name("attn_norm.weight"), e)
        let mixer: RecurrentWeights.Mixer
        switch description.kind {
        case .gatedDeltaNet(let net): mixer = .gatedDeltaNet(try gatedDeltaNet(net, e, name))
        case .shortConvolution(let taps):
            mixer = .shortConvolution(
                ShortConvolutionWeights(
                    input: try projection(name("shortconv.in_proj"), [e, 3 * e]),
                    convolution: try required(name("shortconv.conv.weight"), [taps, e], as: .exact),
                    output: try projection(name("shortconv.out_proj"), [e, e])))
        case .stateSpace(let space): mixer = .stateSpace(try stateSpace(space, e, name))
        }
        return RecurrentWeights(
            norm: norm, mixer: mixer, feedForwardNorm: try vector(name("\(d.feedForwardNorm).weight"), e),
            feedForward: try feedForward(description.feedForward, name))
    }

    private mutating func stateSpace(
        _ space: RecurrentBlock.StateSpace, _ e: Int, _ name: (String) -> String
    ) throws -> StateSpaceWeights {
        StateSpaceWeights(
            input: try projection(name("ssm_in"), [e, space.inner + space.channels + space.heads]),
            convolution: try required(name("ssm_conv1d.weight"), [space.taps, space.channels], as: .exact),
            convolutionBias: try vector(name("ssm_conv1d.bias"), space.channels),
            stepBias: try vector(name("ssm_dt.bias"), space.heads),
            rates: try required(name("ssm_a"), [1, space.heads], as: .exact),
            passing: try required(name("ssm_d"), [1, space.heads], as: .exact),
            norm: try required(name("ssm_norm.weight"), [space.inner / space.groups, space.groups], as: .exact),
            output: try projection(name("ssm_out"), [space.inner, e]))
    }

    private mutating func gatedDeltaNet(
        _ net: RecurrentBlock.GatedDeltaNet, _ e: Int, _ name: (String) -> String
    ) throws -> GatedDeltaNetWeights {
        let values = net.valueHeads * net.size
        let gates: GatedDeltaNetWeights.Gates
        if net.groupsHeads {
            gates = .together(try projection(name("ssm_ba"), [e, 2 * net.valueHeads]))
        } else {
            gates = .apart(
                rates: try projection(name("ssm_beta"), [e, net.valueHeads]),
                decays: try projection(name("ssm_alpha"), [e, net.valueHeads]))
        }
        return GatedDeltaNetWeights(
            queriesKeysValues: try projection(name("attn_qkv"), [e, net.channels]),
            outputGate: try projection(name("attn_gate"), [e, values]), gates: gates,
            convolution: try required(name("ssm_conv1d.weight"), [net.taps, net.channels], as: .exact),
            decayBias: try vector(name("ssm_dt.bias"), net.valueHeads),
            decayScale: try vector(name("ssm_a"), net.valueHeads), norm: try vector(name("ssm_norm.weight"), net.size),
            output: try projection(name("ssm_out"), [values, e]))
    }
}
