// Shapes of published models in which only some blocks have attention.
extension ModelShape {
    /// Qwen 3.5: one block in four has attention, with heads of 256; the others have delta nets with heads of 128.
    static func qwen35(
        _ embedding: Int, layers: Int, _ feedForward: Int, heads: (Int, Int), valueHeads: Int,
        experts: FeedForward.Experts? = nil, tied: Bool = false
    ) -> ModelShape {
        var shape = hybrid(
            experts == nil ? "qwen35" : "qwen35moe", embedding, layers: layers, feedForward, heads: heads,
            vocabulary: 248_320, tied: tied)
        shape.recurrence = .gatedDeltaNet(.init(keyHeads: 16, valueHeads: valueHeads, size: 128, taps: 4))
        shape.extraLists["rope.dimension_sections"] = [11, 11, 10, 0]
        shape.experts = experts
        return shape
    }

    static func qwen3Next() -> ModelShape {
        var shape = hybrid(
            "qwen3next", 2048, layers: 48, 512, heads: (16, 2), vocabulary: 151_936, tied: false)
        shape.recurrence = .gatedDeltaNet(.init(keyHeads: 16, valueHeads: 32, size: 128, taps: 4, groupsHeads: true))
        shape.experts = .init(count: 512, used: 10, sharedLength: 512, gatesShared: true)
        return shape
    }

    static func lfm2() -> ModelShape {
        var shape = ModelShape(
            "lfm2", embedding: 2048, layers: 16, feedForward: 8192, queryHeads: 32, kvHeads: 8, headDimension: 64,
            vocabulary: 65536, tiesEmbeddings: true, context: 128_000, ropeBase: 1_000_000)
        shape.recurrence = .shortConvolution(taps: 3)
        shape.attentionBlocks = [2, 5, 8, 10, 12, 14]
        return shape
    }

    static func lfm2MoE() -> ModelShape {
        var shape = ModelShape(
            "lfm2moe", embedding: 2048, layers: 24, feedForward: 1792, queryHeads: 32, kvHeads: 8, headDimension: 64,
            vocabulary: 65536, tiesEmbeddings: true, context: 128_000, ropeBase: 1_000_000)
        shape.recurrence = .shortConvolution(taps: 3)
        shape.attentionBlocks = [2, 6, 10, 14, 18, 21]
        shape.experts = .init(count: 32, used: 4)
        shape.experts?.usesSigmoid = true
        shape.denseBlocks = DenseBlocks(count: 2, length: 7168)
        return shape
    }

    static func graniteHybrid() -> ModelShape {
        var shape = granite(
            "granitehybrid", 2048, layers: 40, 8192, heads: (32, 8), of: 64, attention: 0.015625, residual: 0.22,
            logits: 8)
        shape.vocabulary = 100_352
        shape.recurrence = .stateSpace(.init(heads: 64, size: 64, stateSize: 128, groups: 1, taps: 4))
        shape.attentionBlocks = [5, 15, 25, 35]
        shape.extraFlags["rope.scaling.finetuned"] = false
        return shape
    }

    private static func hybrid(
        _ architecture: String, _ embedding: Int, layers: Int, _ feedForward: Int, heads: (Int, Int), vocabulary: Int,
        tied: Bool
    ) -> ModelShape {
        var shape = ModelShape(
            architecture, embedding: embedding, layers: layers, feedForward: feedForward, queryHeads: heads.0,
            kvHeads: heads.1, headDimension: 256, vocabulary: vocabulary, tiesEmbeddings: tied, context: 262_144,
            ropeBase: 10_000_000)
        shape.epsilon = 1e-6
        shape.ropeDimensions = 64
        return shape
    }
}
