internal import Ggml

/// OLMo 2 and 3: norms behind both halves of a block instead of before them, queries and keys normalised as a whole;
/// in OLMo 3 three layers with a sliding window, whose RoPE is not scaled, for every one that sees everything.
enum Olmo2: Architecture {
    static let name = "olmo2"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.queryKeyNorm = .wholeProjection
        description.hasPreNorms = false
        description.hasPostNorms = true
        guard let window = try metadata.slidingWindow(context: description.contextLength) else { return }
        let isLocal = try metadata.localLayers(description.layers.count, period: 4)
        for index in description.layers.indices where isLocal[index] {
            description.layers[index].slidingWindow = window
            description.layers[index].rope?.scale = 1
            description.layers[index].rope?.extrapolation = 0
            description.layers[index].rope?.attentionFactor = 1
        }
    }
}
