internal import Ggml

/// Llama 2 and 3, Mistral and everything converted as "llama".
///
/// Llama 3.x stores its frequency scaling as the tensor `rope_freqs.weight`.
enum Llama: Architecture {
    static let name = "llama"
    static let pairing = RopeParameters.Pairing.neighbours

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.ropeFactors = metadata.file.tensors["rope_freqs.weight"]?.name
        try description.applySlidingWindow(metadata)
        if let scale = try metadata.float("attention.scale"), scale > 0 { description.attentionScale = scale }
    }
}
