internal import Ggml

/// gpt-oss: experts with biases, a learned sink per query head, and every other layer with a sliding window.
enum GptOss: Architecture {
    static let name = "gpt-oss"
    static let pairing = RopeParameters.Pairing.halves
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        try description.requireExperts(metadata)
        description.hasAttentionSinks = true
        // The norm behind attention is that before the experts; converters have called it so.
        description.feedForwardNorm = "post_attention_norm"
        let window = try metadata.slidingWindow(context: description.contextLength)
        let isLocal = try metadata.localLayers(description.layers.count, period: 2)
        let base = try metadata.float("rope.freq_base_swa")
        for index in description.layers.indices {
            description.layers[index].feedForward.activation = .clampedSilu
            description.layers[index].feedForward.experts?.weighsChosenOnly = true
            guard isLocal[index] else { continue }
            description.layers[index].slidingWindow = window
            if let base { description.layers[index].rope?.base = base }
        }
    }
}
