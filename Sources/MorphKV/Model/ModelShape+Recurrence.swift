// Blocks without attention in made-up models.
extension ModelShape {
    /// Whether a block is without attention.
    func isRecurrent(_ block: Int) -> Bool {
        guard recurrence != nil else { return false }
        return attentionBlocks.map { !$0.contains(block) } ?? ((block + 1) % attentionInterval != 0)
    }

    /// Whether the query projection has a gate for each query.
    var gatesAttention: Bool {
        if case .gatedDeltaNet = recurrence { true } else { false }
    }

    /// KV heads of each block; nil if that is the same number for all.
    var headsPerBlock: [Int32]? {
        guard attentionBlocks != nil else { return nil }
        return (0..<layers).map { isRecurrent($0) ? 0 : Int32(kvHeads) }
    }

    /// The sections of three-dimensional positions that take turns in a head's pairs.
    package static func ropeSections(pairs: Int) -> [Int32] {
        [(pairs + 2) / 3, (pairs + 1) / 3, pairs / 3, 0].map(Int32.init)
    }

    func addRecurrentBlock(
        _ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void, _ add: (TensorPlan) -> Void
    ) {
        let prefix = "blk.\(block)."
        vector(prefix + "attn_norm.weight", embedding, 1, 0.1)
        vector("\(prefix)\(feedForwardNorm).weight", embedding, 1, 0.1)
        switch recurrence {
        case .gatedDeltaNet(let net): addDeltaNet(net, prefix, matrix, vector)
        case .shortConvolution(let taps):
            matrix(prefix + "shortconv.in_proj.weight", [embedding, 3 * embedding], 1, false)
            matrix(prefix + "shortconv.conv.weight", [taps, embedding], 1.5, true)
            matrix(prefix + "shortconv.out_proj.weight", [embedding, embedding], 1, false)
        case .stateSpace(let space): addStateSpace(space, prefix, matrix, vector, add)
        case nil: break
        }
        addNetwork(block, matrix, vector)
    }

    private func addStateSpace(
        _ space: RecurrentBlock.StateSpace, _ prefix: String, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void, _ add: (TensorPlan) -> Void
    ) {
        func exact(_ name: String, _ shape: [Int], mean: Float, deviation: Float) {
            add(TensorPlan(name: prefix + name, shape: shape, mean: mean, deviation: deviation, isExact: true))
        }
        matrix(prefix + "ssm_in.weight", [embedding, space.inner + space.channels + space.heads], 1, false)
        matrix(prefix + "ssm_conv1d.weight", [space.taps, space.channels], 1.5, true)
        vector(prefix + "ssm_conv1d.bias", space.channels, 0, 0.1)
        // Memories fade over a few to a few hundred tokens.
        vector(prefix + "ssm_dt.bias", space.heads, -3, 1.5)
        exact("ssm_a", [1, space.heads], mean: -1, deviation: 0.2)
        exact("ssm_d", [1, space.heads], mean: 1, deviation: 0.2)
        exact("ssm_norm.weight", [space.inner / space.groups, space.groups], mean: 1, deviation: 0.1)
        matrix(prefix + "ssm_out.weight", [space.inner, embedding], 1, false)
    }

    private func addDeltaNet(
        _ net: RecurrentBlock.GatedDeltaNet, _ prefix: String, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        let values = net.valueHeads * net.size
        matrix(prefix + "attn_qkv.weight", [embedding, net.channels], 1, false)
        matrix(prefix + "attn_gate.weight", [embedding, values], 1, false)
        matrix(prefix + "ssm_conv1d.weight", [net.taps, net.channels], 1.5, true)
        if net.groupsHeads {
            matrix(prefix + "ssm_ba.weight", [embedding, 2 * net.valueHeads], 1, false)
        } else {
            matrix(prefix + "ssm_beta.weight", [embedding, net.valueHeads], 1, false)
            matrix(prefix + "ssm_alpha.weight", [embedding, net.valueHeads], 1, false)
        }
        // Memories fade over a few to a few hundred tokens.
        vector(prefix + "ssm_dt.bias", net.valueHeads, -3, 1.5)
        vector(prefix + "ssm_a", net.valueHeads, -1, 0.2)
        vector(prefix + "ssm_norm.weight", net.size, 1, 0.1)
        matrix(prefix + "ssm_out.weight", [values, embedding], 1, false)
    }
}
