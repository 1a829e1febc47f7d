internal import Ggml

/// OLMoE: Llama's block with queries and keys normalised as a whole, and experts whose weights are left as they are.
enum OLMoE: Architecture {
    static let name = "olmoe"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        description.queryKeyNorm = .wholeProjection
        guard try metadata.file.bool(metadata.key("expert_weights_norm")) == nil else { return }
        for index in description.layers.indices {
            description.layers[index].feedForward.experts?.normalizesWeights = false
        }
    }
}
