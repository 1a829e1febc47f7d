internal import Ggml

/// Qwen 3 with experts (30B-A3B, 235B-A22B, Coder).
enum Qwen3MoE: Architecture {
    static let name = "qwen3moe"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        description.queryKeyNorm = .perHead
    }
}

extension DecoderDescription {
    /// - Throws: ``ModelError`` when the file states no experts, without which the architecture does not exist.
    func requireExperts(_ metadata: Metadata) throws {
        guard layers.allSatisfy({ $0.feedForward.experts != nil }) else {
            throw ModelError(.metadata, "\(metadata.file.name): key \(metadata.key("expert_count")) is missing")
        }
    }
}
