internal import Ggml

/// LFM2: gated short convolutions, and among them blocks with attention, whose number of KV heads is not 0.
enum LFM2: Architecture {
    static let name = "lfm2"
    static let pairing = RopeParameters.Pairing.halves
    static let statesHeadsPerBlock = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.applySlidingWindow(metadata)
        try description.applyShortConvolutions(metadata)
    }
}

/// LFM2 with experts in all blocks but the first ones, chosen by sigmoids to which a bias is added for the choice alone.
enum LFM2MoE: Architecture {
    static let name = "lfm2moe"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true
    static let choosesBySigmoid = true
    static let statesHeadsPerBlock = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        let gating = metadata.key("expert_gating_func")
        guard metadata.file.contains(gating) else {
            throw ModelError(.metadata, "\(metadata.file.name): key \(gating) is missing")
        }
        let count = description.layers.count
        let dense = try metadata.integer("leading_dense_block_count") ?? 0
        guard (0...count).contains(dense) else {
            throw ModelError(
                .metadata, "\(metadata.key("leading_dense_block_count")) is \(dense), not 0 to \(count)")
        }
        for index in 0..<dense {
            let length = try metadata.size("feed_forward_length", limit: 1 << 22)
            description.layers[index].feedForward = FeedForward(length: length)
        }
        for index in dense..<count {
            description.layers[index].feedForward.experts?.normalizesWeights = true
            description.layers[index].feedForward.experts?.biasesChoice = true
        }
        try description.applyShortConvolutions(metadata)
    }
}

extension DecoderDescription {
    fileprivate mutating func applyShortConvolutions(_ metadata: Metadata) throws {
        queryKeyNorm = .perHead
        // Converters call the norm behind the last block so.
        outputNorm = "token_embd_norm"
        let taps = try metadata.size("shortconv.l_cache", limit: 1 << 8)
        guard taps > 1 else {
            throw ModelError(.metadata, "\(metadata.key("shortconv.l_cache")) is \(taps), less than 2")
        }
        let heads = try metadata.headsPerBlock() ?? []
        try makeRecurrent(
            layers.map { heads.isEmpty ? false : heads[$0.block] == 0 }, .shortConvolution(taps: taps),
            statedBy: "attention.head_count_kv of \(metadata.file.name)")
    }
}
