internal import Ggml

/// SmolLM 3: Llama, but every fourth layer knows no positions (NoPE, arXiv 2501.18795).
enum SmolLM3: Architecture {
    static let name = "smollm3"
    static let pairing = RopeParameters.Pairing.neighbours

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        for index in description.layers.indices where (index + 1) % 4 == 0 { description.layers[index].rope = nil }
        try description.applyAttentionScale(metadata)
    }
}
