// Gemma 3n and 4 among made-up models.
extension ModelShape {
    /// What Gemma 3n and 4 have besides.
    package struct GemmaParts: Sendable, Hashable {
        /// Numbers of a token that each block gets besides; 0: none.
        package var perLayer = 0
        /// Last blocks that attend to the keys and values of others, where the file states it.
        package var sharedBlocks: Int?
        /// Which blocks are local; every n-th is not where nothing is stated.
        package var localBlocks: [Bool]?
        /// The length of local layers' heads, where it is not that of all.
        package var localDimension: Int?
        /// KV heads of the layers that are not local, where they are fewer.
        package var globalKVHeads: Int?
        /// Whether layers that are not local have no value projection.
        package var valuesAreKeys = false
        /// The width of each block's network, where it differs.
        package var lengths: [Int]?

        package init() {}
    }

    /// What the architecture's files say by nothing but shapes.
    private var rank: Int { 64 }
    private var streamCount: Int { 4 }
    private var hasStreams: Bool { architecture == "gemma3n" }

    private func isLocal(_ block: Int, _ gemma: GemmaParts) -> Bool {
        gemma.localBlocks?[block] ?? ((block + 1) % 5 != 0)
    }

    func addInputs(
        _ gemma: GemmaParts, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        if gemma.perLayer > 0 {
            matrix("per_layer_token_embd.weight", [gemma.perLayer * layers, vocabulary], 1, false)
            matrix("per_layer_model_proj.weight", [embedding, gemma.perLayer * layers], 1, false)
            vector("per_layer_proj_norm.weight", gemma.perLayer, 1, 0.1)
        }
        if hasStreams {
            for name in ["altup_proj", "altup_unembd_proj"] {
                matrix("\(name).weight", [embedding, embedding, streamCount - 1], 1, false)
            }
        } else {
            vector("rope_freqs.weight", headDimension / 2, 2, 0.5)
        }
    }

    func addBlock(
        _ block: Int, _ gemma: GemmaParts, _ matrix: (String, [Int], Float, Bool) -> Void,
        _ vector: (String, Int, Float, Float) -> Void
    ) {
        let (prefix, isLocal) = ("blk.\(block).", isLocal(block, gemma))
        let dimension = isLocal ? gemma.localDimension ?? headDimension : headDimension
        let keys = dimension * (isLocal ? kvHeads : gemma.globalKVHeads ?? kvHeads)
        // Gemma 3n's files have keys and values in all blocks.
        let ownsKeys = hasStreams || block < layers - (gemma.sharedBlocks ?? 0)
        for name in ["attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"] {
            vector("\(prefix)\(name).weight", embedding, 1, 0.1)
        }
        matrix(prefix + "attn_q.weight", [embedding, queryHeads * dimension], 1, false)
        vector(prefix + "attn_q_norm.weight", dimension, 0.5, 0.1)
        if ownsKeys {
            matrix(prefix + "attn_k.weight", [embedding, keys], 1, false)
            if isLocal || !gemma.valuesAreKeys { matrix(prefix + "attn_v.weight", [embedding, keys], 1, false) }
            vector(prefix + "attn_k_norm.weight", dimension, 0.5, 0.1)
        }
        matrix(prefix + "attn_output.weight", [queryHeads * dimension, embedding], 1, false)
        addNetwork(block, matrix, vector)
        if let experts { addParallelNorms(prefix, experts, vector) }
        if gemma.perLayer > 0 {
            matrix(prefix + "inp_gate.weight", [embedding, gemma.perLayer], 1, false)
            matrix(prefix + "proj.weight", [gemma.perLayer, embedding], 1, false)
            vector(prefix + "post_norm.weight", embedding, 1, 0.1)
        }
        if hasStreams {
            addAlternatives(prefix, matrix, vector)
        } else {
            vector(prefix + "layer_output_scale.weight", 1, 0.9, 0.05)
        }
    }

    private func addParallelNorms(
        _ prefix: String, _ experts: FeedForward.Experts, _ vector: (String, Int, Float, Float) -> Void
    ) {
        for name in ["pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"] {
            vector("\(prefix)\(name).weight", embedding, 1, 0.1)
        }
        vector(prefix + "ffn_gate_inp.scale", embedding, 8, 1)
        vector(prefix + "ffn_down_exps.scale", experts.count, 1, 0.2)
    }

    private func addAlternatives(
        _ prefix: String, _ matrix: (String, [Int], Float, Bool) -> Void, _ vector: (String, Int, Float, Float) -> Void
    ) {
        let count = streamCount
        // The router's input is divided by the width.
        matrix(prefix + "altup_router.weight", [embedding, count], 0.3 * Float(embedding), false)
        vector(prefix + "altup_router_norm.weight", embedding, 1, 0.1)
        matrix(prefix + "altup_predict_coef.weight", [count, count * count], 0.1, false)
        matrix(prefix + "altup_correct_coef.weight", [count, count], 0.1, false)
        vector(prefix + "altup_correct_scale.weight", embedding, 1, 0.1)
        matrix(prefix + "laurel_l.weight", [embedding, rank], 1, false)
        matrix(prefix + "laurel_r.weight", [rank, embedding], 1, false)
        vector(prefix + "laurel_post_norm.weight", embedding, 1, 0.1)
    }

    /// KV heads of each block; nil if that is the same number for all.
    func gemmaHeads(_ gemma: GemmaParts) -> [Int32]? {
        gemma.globalKVHeads.map { global in (0..<layers).map { Int32(isLocal($0, gemma) ? kvHeads : global) } }
    }

    // MARK: Published models

    static func gemma3n() -> ModelShape {
        var shape = ModelShape(
            "gemma3n", embedding: 2048, layers: 30, feedForward: 8192, queryHeads: 8, kvHeads: 2, headDimension: 256,
            vocabulary: 262_144, tiesEmbeddings: true, context: 32768, ropeBase: 1_000_000)
        (shape.epsilon, shape.slidingWindow) = (1e-6, 512)
        (shape.gemma!.perLayer, shape.gemma!.sharedBlocks) = (256, 10)
        return shape
    }

    static func gemma4() -> ModelShape {
        var shape = ModelShape(
            "gemma4", embedding: 1536, layers: 35, feedForward: 6144, queryHeads: 8, kvHeads: 1, headDimension: 512,
            vocabulary: 262_144, tiesEmbeddings: true, context: 131_072, ropeBase: 1_000_000)
        (shape.epsilon, shape.slidingWindow) = (1e-6, 512)
        shape.extraFloats["final_logit_softcapping"] = 30
        (shape.gemma!.perLayer, shape.gemma!.sharedBlocks, shape.gemma!.localDimension) = (256, 20, 256)
        shape.gemma!.localBlocks = (0..<35).map { ($0 + 1) % 5 != 0 }
        // The blocks that share keys have networks of twice the width.
        shape.gemma!.lengths = (0..<35).map { $0 < 15 ? 6144 : 12288 }
        return shape
    }
}
