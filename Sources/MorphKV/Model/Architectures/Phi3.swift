internal import Ggml

/// Phi-3, Phi-3.5 and Phi-4: fused QKV, fused gate and up, and two sets of RoPE factors, of which the
/// longer one serves contexts beyond the original length.
enum Phi3: Architecture {
    static let name = "phi3"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        for index in description.layers.indices { description.layers[index].feedForward.fusesGateAndUp = true }
        description.ropeFactors = metadata.ropeFactors(description)
        try description.applySlidingWindow(metadata)
    }
}
