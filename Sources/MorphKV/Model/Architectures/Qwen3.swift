internal import Ggml

/// Qwen 3 (dense): queries and keys are normalised per head.
enum Qwen3: Architecture {
    static let name = "qwen3"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.queryKeyNorm = .perHead
    }
}
