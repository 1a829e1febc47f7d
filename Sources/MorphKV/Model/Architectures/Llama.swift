internal import Ggml

/// Llama 2 and 3, Mistral, Mixtral and everything converted as "llama".
///
/// Llama 3.x stores its frequency scaling as the tensor `rope_freqs.weight`.
enum Llama: Architecture {
    static let name = "llama"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.ropeFactors = metadata.ropeFactors(description)
        try description.applySlidingWindow(metadata)
        try description.applyAttentionScale(metadata)
    }
}
