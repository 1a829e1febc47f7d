internal import Ggml

/// Qwen 3.5 (dense): three blocks with a gated delta net for every one with gated attention.
enum Qwen35: Architecture {
    static let name = "qwen35"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.checkSections(metadata)
        try description.applyGatedDeltaNet(metadata)
    }
}

/// Qwen 3.5 with experts.
enum Qwen35MoE: Architecture {
    static let name = "qwen35moe"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true
    static let fusesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        try description.checkSections(metadata)
        try description.applyGatedDeltaNet(metadata)
    }
}

/// Qwen 3 Next: as Qwen 3.5 with experts, but successive value heads share a key head, and one tensor has both gates of
/// the memory.
enum Qwen3Next: Architecture {
    static let name = "qwen3next"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true
    static let fusesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        try description.applyGatedDeltaNet(metadata, groupsHeads: true)
    }
}

extension DecoderDescription {
    /// Blocks with a gated delta net, blocks with gated attention, and a shared expert with a gate.
    fileprivate mutating func applyGatedDeltaNet(_ metadata: Metadata, groupsHeads: Bool = false) throws {
        queryKeyNorm = .perHead
        gatesAttention = true
        // The norm behind attention is that before the feed-forward network; converters have called it so.
        feedForwardNorm = "post_attention_norm"
        try applyAttentionScale(metadata)
        for index in layers.indices { layers[index].feedForward.experts?.gatesShared = true }
        let net = try RecurrentBlock.GatedDeltaNet(metadata, groupsHeads: groupsHeads)
        try makeRecurrent(
            metadata.recurrentBlocks(layers.count), .gatedDeltaNet(net),
            statedBy: "attention.recurrent_layers or full_attention_interval of \(metadata.file.name)")
    }

    /// In a text all sections of a position are the same number, except the last, which is 0.
    fileprivate func checkSections(_ metadata: Metadata) throws {
        let key = metadata.key("rope.dimension_sections")
        let pairs = (layers[0].rope?.dimensions ?? 0) / 2
        guard let sections = try metadata.file.integers(key) else {
            throw ModelError(.metadata, "\(metadata.file.name): key \(key) is missing")
        }
        let all = sections.reduce(0, +)
        guard (3...4).contains(sections.count), sections.allSatisfy({ (0...pairs).contains($0) }), all > 0 else {
            throw ModelError(.metadata, "\(metadata.file.name): \(key) is \(sections) for \(pairs) pairs")
        }
        // They take turns: pair i belongs to section i % 3 while that has some left, then to the last one.
        guard (0..<pairs).map({ $0 % all }).allSatisfy({ $0 < 3 * sections[$0 % 3] }) else {
            throw ModelError(
                .unsupported,
                "\(metadata.file.name): \(key) is \(sections), which leaves some of \(pairs) pairs unrotated")
        }
    }
}

extension RecurrentBlock.GatedDeltaNet {
    init(_ metadata: Metadata, groupsHeads: Bool) throws {
        let heads = try metadata.size("ssm.time_step_rank", limit: 1 << 12)
        self.init(
            keyHeads: try metadata.size("ssm.group_count", limit: heads), valueHeads: heads,
            size: try metadata.size("ssm.state_size", limit: 1 << 12),
            taps: try metadata.size("ssm.conv_kernel", limit: 1 << 8), groupsHeads: groupsHeads)
        let inner = try metadata.size("ssm.inner_size", limit: 1 << 22)
        guard inner == heads * size else {
            throw ModelError(
                .unsupported,
                "\(metadata.key("ssm.inner_size")) is \(inner): values of \(heads) heads are as long as keys, \(size), here"
            )
        }
        guard heads % keyHeads == 0 else {
            throw ModelError(
                .metadata,
                "\(metadata.key("ssm.group_count")) is \(keyHeads), which \(heads) heads cannot share evenly")
        }
        guard taps > 1 else {
            throw ModelError(.metadata, "\(metadata.key("ssm.conv_kernel")) is \(taps), less than 2")
        }
    }
}

extension Metadata {
    /// Which blocks are without attention: a flag for each, or all but every n-th.
    fileprivate func recurrentBlocks(_ count: Int) throws -> [Bool] {
        let flagsKey = key("attention.recurrent_layers")
        if let flags = try file.contains(flagsKey) ? file.integers(flagsKey) : nil {
            guard flags.count >= count else {
                throw ModelError(.metadata, "\(flagsKey) has \(flags.count) entries for \(count) blocks")
            }
            return flags.prefix(count).map { $0 != 0 }
        }
        let interval = try size("full_attention_interval", limit: 1 << 10, otherwise: 4)
        return (0..<count).map { ($0 + 1) % interval != 0 }
    }
}
