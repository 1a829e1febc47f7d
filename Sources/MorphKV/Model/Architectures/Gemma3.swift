internal import Ggml

/// Gemma 3 (text): scaled embeddings, norms before and after both halves of a block, five layers with a sliding
/// window and their own RoPE base for every one that sees everything.
enum Gemma3: Architecture {
    static let name = "gemma3"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        for index in description.layers.indices { description.layers[index].feedForward.activation = .gelu }
        description.embeddingScale = Float(description.embeddingLength).squareRoot()
        description.queryKeyNorm = .perHead
        description.hasPostNorms = true
        if let cap = try metadata.float("final_logit_softcapping"), cap > 0 { description.finalSoftcap = cap }
        if description.layers.count == 62 {  // the 27B model scales by its nominal head size
            description.attentionScale = 1 / Float(description.embeddingLength / description.queryHeads).squareRoot()
        }
        try applyLocalLayers(&description, metadata)
    }

    private static func applyLocalLayers(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        guard let window = try metadata.slidingWindow(context: description.contextLength) else { return }
        let base = try metadata.float("rope.freq_base_swa") ?? 10000
        let isLocal = try metadata.localLayers(description.layers.count, period: 6)
        for index in description.layers.indices where isLocal[index] {
            description.layers[index].slidingWindow = window
            description.layers[index].rope?.base = base
            description.layers[index].rope?.scale = 1
        }
    }
}
