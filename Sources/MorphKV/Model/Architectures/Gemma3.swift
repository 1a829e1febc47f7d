internal import Ggml

/// Gemma 3 (text): scaled embeddings, norms before and after both halves of a block, five layers with a sliding
/// window and their own RoPE base for every one that sees everything.
enum Gemma3: Architecture {
    static let name = "gemma3"
    static let pairing = RopeParameters.Pairing.halves

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.activation = .gelu
        description.embeddingScale = Float(description.embeddingLength).squareRoot()
        description.normalizesQueriesAndKeys = true
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
        let isLocal = try localLayers(description.layers.count, metadata)
        for index in description.layers.indices where isLocal[index] {
            description.layers[index].slidingWindow = window
            description.layers[index].rope.base = base
            description.layers[index].rope.scale = 1
        }
    }

    /// The pattern is a flag per layer, or a period n: every n-th layer is global.
    private static func localLayers(_ count: Int, _ metadata: Metadata) throws -> [Bool] {
        let key = metadata.key("attention.sliding_window_pattern")
        if let flags = try? metadata.file.integers(key) {
            guard flags.count == count else {
                throw ModelError(.metadata, "\(key) has \(flags.count) entries for \(count) layers")
            }
            return flags.map { $0 != 0 }
        }
        let period = try metadata.file.integer(key) ?? 6
        return (0..<count).map { period <= 0 || $0 % period < period - 1 }
    }
}
