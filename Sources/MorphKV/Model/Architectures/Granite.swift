internal import Ggml

/// Granite 3 and 4 (dense): Llama with factors for embeddings, attention, residuals and logits; without RoPE where the
/// file says so.
enum Granite: Architecture {
    static let name = "granite"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.applyGranite(metadata)
        try description.applyFinetunedRope(metadata)
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

/// Granite 4 with state spaces (Mamba 2) in most blocks; attention is in those whose number of KV heads is not 0.
enum GraniteHybrid: Architecture {
    static let name = "granitehybrid"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true
    static let statesHeadsPerBlock = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.applyGranite(metadata)
        try description.applyFinetunedRope(metadata)
        let space = try RecurrentBlock.StateSpace(metadata)
        let heads = try metadata.headsPerBlock() ?? []
        try description.makeRecurrent(
            description.layers.map { heads.isEmpty ? false : heads[$0.block] == 0 }, .stateSpace(space),
            statedBy: "attention.head_count_kv of \(metadata.file.name)")
    }
}

extension RecurrentBlock.StateSpace {
    init(_ metadata: Metadata) throws {
        let heads = try metadata.size("ssm.time_step_rank", limit: 1 << 12)
        let inner = try metadata.size("ssm.inner_size", limit: 1 << 22)
        self.init(
            heads: heads, size: inner / heads, stateSize: try metadata.size("ssm.state_size", limit: 1 << 12),
            groups: try metadata.size("ssm.group_count", limit: heads),
            taps: try metadata.size("ssm.conv_kernel", limit: 1 << 8))
        guard inner % heads == 0 else {
            throw ModelError(
                .metadata,
                "\(metadata.key("ssm.inner_size")) is \(inner), which \(heads) heads (ssm.time_step_rank) cannot share evenly"
            )
        }
        guard heads % groups == 0 else {
            throw ModelError(
                .metadata, "\(metadata.key("ssm.group_count")) is \(groups), which \(heads) heads cannot share evenly")
        }
        guard taps > 1 else {
            throw ModelError(.metadata, "\(metadata.key("ssm.conv_kernel")) is \(taps), less than 2")
        }
    }
}

extension DecoderDescription {
    /// Positions are known in no layer where the file says so.
    fileprivate mutating func applyFinetunedRope(_ metadata: Metadata) throws {
        guard try metadata.file.bool(metadata.key("rope.scaling.finetuned")) == false else { return }
        for index in layers.indices { layers[index].rope = nil }
        ropeFactors = nil
    }

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
