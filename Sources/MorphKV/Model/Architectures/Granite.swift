internal import Ggml

/// Granite 3 and 4 (dense): Llama with factors for embeddings, attention, residuals and logits; without RoPE where the
/// file says so.
enum Granite: Architecture {
    static let name = "granite"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.applyGranite(metadata)
        if try metadata.file.bool(metadata.key("rope.scaling.finetuned")) == false {
            for index in description.layers.indices { description.layers[index].rope = nil }
            description.ropeFactors = nil
        }
    }
}

/// Granite 3 with experts, and with one that every token gets in the shared variant.
enum GraniteMoE: Architecture {
    static let name = "granitemoe"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.applyGranite(metadata)
    }
}

extension DecoderDescription {
    /// The factors that all Granite models have.
    fileprivate mutating func applyGranite(_ metadata: Metadata) throws {
        let key = metadata.key("logit_scale")
        guard let divisor = try metadata.float("logit_scale") else {
            throw ModelError(.metadata, "\(metadata.file.name): key \(key) is missing")
        }
        guard divisor.isNormal, (1 / divisor).isFinite else {
            throw ModelError(.metadata, "\(metadata.file.name): \(key) is \(divisor)")
        }
        logitScale = 1 / divisor
        if let scale = try metadata.float("residual_scale"), scale != 0 { residualScale = scale }
        if let scale = try metadata.float("embedding_scale"), scale != 0 { embeddingScale = scale }
        try applyAttentionScale(metadata)
        ropeFactors = metadata.ropeFactors(self)
        if metadata.file.contains(metadata.key("deepstack_mapping")) {
            throw ModelError(.unsupported, "\(metadata.file.name) is a Granite for pictures; those for text only run")
        }
    }
}
