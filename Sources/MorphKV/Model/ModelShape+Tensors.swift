extension ModelShape {
    /// A tensor of the file and how its random values are spread.
    struct TensorPlan {
        let name: String
        let shape: [Int]
        let mean: Float
        let deviation: Float
        /// Whether it stays in 32 bits.
        var isExact = false
    }

    /// All tensors that the architecture's converter would write.
    var tensors: [TensorPlan] {
        var all: [TensorPlan] = []
        func matrix(_ name: String, _ shape: [Int], gain: Float = 1, isExact: Bool = false) {
            all.append(
                TensorPlan(
                    name: name, shape: shape, mean: 0, deviation: gain / Float(shape[0]).squareRoot(), isExact: isExact)
            )
        }
        func vector(_ name: String, _ length: Int, mean: Float = 1, deviation: Float = 0.1) {
            all.append(TensorPlan(name: name, shape: [length], mean: mean, deviation: deviation))
        }
        all.append(
            TensorPlan(name: "token_embd.weight", shape: [embedding, vocabulary], mean: 0, deviation: 1))
        if !tiesEmbeddings { matrix("output.weight", [embedding, vocabulary]) }
        vector("\(outputNorm).weight", embedding)
        if hasRopeFactors {
            let names = architecture == "phi3" ? ["rope_factors_long", "rope_factors_short"] : ["rope_freqs"]
            for name in names { vector("\(name).weight", headDimension / 2, mean: 2) }
        }
        if let gemma { addInputs(gemma, matrix, vector) }
        for layer in 0..<layers {
            if let gemma {
                addBlock(layer, gemma, matrix, vector)
            } else if isRecurrent(layer) {
                addRecurrentBlock(layer, matrix, vector) { all.append($0) }
            } else {
                addBlock(layer, matrix, vector)
            }
        }
        return all
    }

    /// What gpt-oss has besides.
    private func addSinksAndBiases(
        _ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        let prefix = "blk.\(block)."
        // About as large as the largest of a few dozen scores, so that they take a good part.
        vector(prefix + "attn_sinks.weight", queryHeads, 2, 1)
        vector(prefix + "attn_output.bias", embedding, 0, 0.1)
        vector(prefix + "ffn_gate_inp.bias", experts?.count ?? 0, 0, 0.5)
        let own = network(of: block).matrices(width: embedding)
        for one in [own.gate, own.up, own.down].compactMap(\.self) {
            matrix("\(prefix)\(one.name).bias", Array(one.shape.dropFirst()), 1, true)
        }
    }

    private func addBlock(
        _ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        let prefix = "blk.\(block)."
        let queries = queryHeads * headDimension
        let keys = kvHeads * headDimension
        func norm(_ name: String, _ length: Int) { vector("\(prefix)\(name).weight", length, 1, 0.1) }
        if hasPreNorms {
            norm("attn_norm", embedding)
            norm(feedForwardNorm, embedding)
        }
        // Somewhat larger queries and keys make attention favour some tokens, as trained models do.
        if isFused {
            matrix(prefix + "attn_qkv.weight", [embedding, queries + 2 * keys], 1.2, false)
        } else {
            matrix(prefix + "attn_q.weight", [embedding, gatesAttention ? 2 * queries : queries], 1.2, false)
            matrix(prefix + "attn_k.weight", [embedding, keys], 1.2, false)
            matrix(prefix + "attn_v.weight", [embedding, keys], 1, false)
        }
        addNetworkInputs(block, matrix)
        if hasAttentionBias {
            for (name, length) in [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)] {
                vector("\(prefix)\(name).bias", length, 0, 0.5)
            }
        }
        if let queryKeyNorm {
            let isPerHead = queryKeyNorm == .perHead
            norm("attn_q_norm", isPerHead ? headDimension : queries)
            norm("attn_k_norm", isPerHead ? headDimension : keys)
        }
        if hasPostNorms {
            norm("post_attention_norm", embedding)
            norm("post_ffw_norm", embedding)
        }
        matrix(prefix + "attn_output.weight", [queries, embedding], 1, false)
        addNetworkOutputs(block, matrix, vector)
        if hasSinksAndBiases { addSinksAndBiases(block, matrix, vector) }
    }

    func addNetwork(
        _ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        addNetworkInputs(block, matrix)
        addNetworkOutputs(block, matrix, vector)
    }

    /// The order of tensors decides their numbers, so older models of a seed keep theirs.
    private func addNetworkInputs(_ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void) {
        let (prefix, network) = ("blk.\(block).", network(of: block))
        let own = network.matrices(width: embedding)
        for one in [network.router(width: embedding), own.gate, own.up].compactMap(\.self) {
            matrix("\(prefix)\(one.name).weight", one.shape, 1, one.isExact)
        }
    }

    private func addNetworkOutputs(
        _ block: Int, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        let (prefix, network) = ("blk.\(block).", network(of: block))
        let (own, shared) = (network.matrices(width: embedding), network.sharedMatrices(width: embedding))
        for one in [own.down, shared?.gate, shared?.up, shared?.down].compactMap(\.self) {
            matrix("\(prefix)\(one.name).weight", one.shape, 1, one.isExact)
        }
        if let gate = network.sharedGate(width: embedding) {
            vector("\(prefix)\(gate.name).weight", embedding, 0, 1 / Float(embedding).squareRoot())
        }
        if let bias = network.choiceBias { vector(prefix + bias.name, bias.shape[0], 0, 0.2) }
    }
}
