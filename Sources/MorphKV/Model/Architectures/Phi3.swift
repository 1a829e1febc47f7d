internal import Ggml

/// Phi-3, Phi-3.5 and Phi-4: fused QKV, fused gate and up, and two sets of RoPE factors, of which the
/// longer one serves contexts beyond the original length.
enum Phi3: Architecture {
    static let name = "phi3"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.fusesGateAndUp = true
        let context = metadata.intendedContext ?? description.contextLength
        let isLong = context > description.layers[0].rope.originalContext
        let factors = isLong ? "rope_factors_long.weight" : "rope_factors_short.weight"
        description.ropeFactors = metadata.file.tensors[factors]?.name
        try description.applySlidingWindow(metadata)
    }
}
