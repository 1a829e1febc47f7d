internal import Ggml

/// Gemma 4 (text): local layers with heads of their own shape, values that are normalised, or the keys themselves; and, as
/// the file says, inputs of each block's own, experts beside the network, and last blocks that attend to the keys and values
/// of earlier ones.
enum Gemma4: Architecture {
    static let name = "gemma4"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true
    static let fusesExperts = true
    static let variesHeads = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.applyGemma()
        description.mayShareValues = true
        description.mayScaleBlocks = true
        if let cap = try metadata.float("final_logit_softcapping"), cap > 0 { description.finalSoftcap = cap }
        if let length = try metadata.integer("embedding_length_per_layer_input"), length != 0 {
            description.perLayerLength = try metadata.size("embedding_length_per_layer_input", limit: 1 << 14)
        }
        let isLocal = try description.applyLocalLayers(metadata, period: nil)
        try applyHeads(&description, metadata, isLocal)
        try applyExperts(&description, metadata)
        let blocks = description.layers.count
        let key = "attention.shared_kv_layers"
        let shared = try metadata.integer(key) ?? 0
        guard (0..<blocks).contains(shared) else {
            throw ModelError(.metadata, "\(metadata.key(key)) is \(shared), not 0 to \(blocks - 1)")
        }
        try description.shareKeys(from: blocks - shared, statedBy: metadata.key(key))
    }

    /// Local layers have shorter heads, and more of them; the others rotate by factors, which leave most of a head alone.
    private static func applyHeads(
        _ description: inout DecoderDescription, _ metadata: Metadata, _ isLocal: [Bool]
    ) throws {
        let (whole, queryHeads) = (description.headDimension, description.queryHeads)
        let local = try metadata.size("attention.key_length_swa", limit: 1 << 12, otherwise: whole)
        guard try metadata.size("attention.value_length_swa", limit: 1 << 12, otherwise: local) == local else {
            throw ModelError(
                .unsupported, "\(metadata.key("attention.value_length_swa")) differs from that of keys, \(local)")
        }
        let rotated = try metadata.size(
            "rope.dimension_count_swa", limit: local,
            otherwise: min(local, description.layers[0].rope?.dimensions ?? local))
        guard rotated % 2 == 0 else {
            throw ModelError(.metadata, "\(metadata.key("rope.dimension_count_swa")) is \(rotated), an odd number")
        }
        let heads = try metadata.headsPerBlock()
        for index in description.layers.indices {
            let kvHeads = heads?[index] ?? description.kvHeads
            guard kvHeads > 0, queryHeads % kvHeads == 0 else {
                throw ModelError(
                    .metadata,
                    "\(metadata.key("attention.head_count_kv")): \(queryHeads) query heads cannot share \(kvHeads) KV heads evenly"
                )
            }
            description.layers[index].kvHeads = kvHeads
            guard isLocal[index] else { continue }
            description.layers[index].headDimension = local
            description.layers[index].rope?.dimensions = rotated
            description.layers[index].usesRopeFactors = false
        }
        description.headDimension = isLocal.allSatisfy(\.self) ? local : max(whole, local)
        if !isLocal.allSatisfy(\.self) { description.ropeFactors = "rope_freqs.weight" }
    }

    /// Experts stand beside the network that every token gets; blocks without a router have that alone.
    private static func applyExperts(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        for index in description.layers.indices {
            guard var experts = description.layers[index].feedForward.experts else { continue }
            let length = try metadata.size("feed_forward_length", ofBlock: index, limit: 1 << 22)
            guard metadata.file.tensors["blk.\(index).ffn_gate_inp.weight"] != nil else {
                description.layers[index].feedForward = FeedForward(length: length)
                description.layers[index].feedForward.activation = .gelu
                continue
            }
            experts.sharedLength = length
            experts.hasOwnNorms = true
            (experts.normalizesWeights, experts.weightScale) = (true, 1)
            description.layers[index].feedForward.experts = experts
        }
    }
}
