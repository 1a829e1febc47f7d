internal import Ggml

/// Qwen 2 and 2.5: Llama with biases on Q, K and V.
enum Qwen2: Architecture {
    static let name = "qwen2"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {}
}
