internal import Ggml

/// Gemma 3n (text): four residual streams of which one goes through the blocks, inputs of each block's own, gates of which
/// few count in the first blocks, and last blocks that attend to the keys and values of earlier ones.
enum Gemma3n: Architecture {
    static let name = "gemma3n"
    static let pairing = RopeParameters.Pairing.halves

    /// Blocks of which only the largest gates count.
    private static let sparseBlocks = 10
    /// Of normally distributed gates 5 % are farther above the mean, in standard deviations.
    private static let sparsity: Float = 1.6448536
    /// Blocks with keys and values of their own, where the file does not state how many share others'.
    private static let owners = 20

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.applyGemma()
        description.finalSoftcap = 30
        if let cap = try metadata.float("final_logit_softcapping"), cap > 0 { description.finalSoftcap = cap }
        description.perLayerLength = try metadata.size(
            "embedding_length_per_layer_input", limit: 1 << 14, otherwise: 256)
        let count = try metadata.size("altup.num_inputs", limit: 1 << 4, otherwise: 4)
        let active = try metadata.integer("altup.active_idx") ?? 0
        guard count > 1, active == 0 else {
            throw ModelError(
                .unsupported,
                "\(metadata.file.name): stream \(active) of \(count) (\(metadata.key("altup.active_idx"))); the first of "
                    + "several runs")
        }
        // No key has it.
        let rank = metadata.file.tensors["blk.0.laurel_l.weight"]?.shape.last ?? 64
        description.alternatives = .init(count: count, active: active, rank: rank)
        for index in description.layers.indices.prefix(sparseBlocks) {
            description.layers[index].feedForward.sparsity = sparsity
        }
        try description.applyLocalLayers(metadata, period: 5)
        let blocks = description.layers.count
        let key = "attention.shared_kv_layers"
        let shared = try metadata.integer(key) ?? max(0, blocks - owners)
        guard (0..<blocks).contains(shared) else {
            throw ModelError(.metadata, "\(metadata.key(key)) is \(shared), not 0 to \(blocks - 1)")
        }
        try description.shareKeys(from: blocks - shared, statedBy: metadata.key(key))
    }
}

extension DecoderDescription {
    /// What Gemma 3n and 4 have in common.
    mutating func applyGemma() {
        for index in layers.indices { layers[index].feedForward.activation = .gelu }
        embeddingScale = Float(embeddingLength).squareRoot()
        queryKeyNorm = .perHead
        normalizesValues = true
        hasPostNorms = true
        attentionScale = 1
    }

    /// Local layers see a sliding window and have a RoPE base of their own.
    ///
    /// - Parameter period: the last of so many layers is not local, where the file does not state which are; nil if it has to.
    /// - Returns: which layers are local.
    @discardableResult
    mutating func applyLocalLayers(_ metadata: Metadata, period: Int?) throws -> [Bool] {
        let pattern = metadata.key("attention.sliding_window_pattern")
        guard metadata.file.contains(pattern) || period != nil else {
            throw ModelError(.metadata, "\(metadata.file.name): key \(pattern) is missing")
        }
        guard let window = try metadata.integer("attention.sliding_window"), window > 0 else {
            throw ModelError(
                .metadata,
                "\(metadata.file.name): key \(metadata.key("attention.sliding_window")) is missing, or not 1 or more")
        }
        let base = try metadata.float("rope.freq_base_swa") ?? 10000
        guard base > 0 else {
            throw ModelError(.metadata, "\(metadata.file.name): \(metadata.key("rope.freq_base_swa")) is \(base)")
        }
        let isLocal = try metadata.localLayers(layers.count, period: period ?? 0)
        for index in layers.indices where isLocal[index] {
            layers[index].slidingWindow = min(window, contextLength)
            layers[index].rope?.base = base
            layers[index].rope?.scale = 1
        }
        return isLocal
    }
}
