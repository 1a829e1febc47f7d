extension ModelShape {
    /// Shapes of published models, by name; from the models' own configuration files.
    package static let presets: [String: ModelShape] = [
        "llama-3.2-1b": llama(2048, layers: 16, 8192, heads: (32, 8), of: 64, 128256, tied: true),
        "llama-3.2-3b": llama(3072, layers: 28, 8192, heads: (24, 8), of: 128, 128256, tied: true),
        "llama-3.1-8b": llama(4096, layers: 32, 14336, heads: (32, 8), of: 128, 128256, tied: false),
        "mistral-7b": ModelShape(
            "llama", embedding: 4096, layers: 32, feedForward: 14336, queryHeads: 32, kvHeads: 8, headDimension: 128,
            vocabulary: 32000, tiesEmbeddings: false, context: 32768, ropeBase: 1_000_000),
        "qwen2.5-0.5b": ModelShape(
            "qwen2", embedding: 896, layers: 24, feedForward: 4864, queryHeads: 14, kvHeads: 2, headDimension: 64,
            vocabulary: 151936, tiesEmbeddings: true, context: 32768, ropeBase: 1_000_000),
        "qwen2.5-7b": ModelShape(
            "qwen2", embedding: 3584, layers: 28, feedForward: 18944, queryHeads: 28, kvHeads: 4, headDimension: 128,
            vocabulary: 152064, tiesEmbeddings: false, context: 32768, ropeBase: 1_000_000),
        "qwen3-0.6b": ModelShape(
            "qwen3", embedding: 1024, layers: 28, feedForward: 3072, queryHeads: 16, kvHeads: 8, headDimension: 128,
            vocabulary: 151936, tiesEmbeddings: true, context: 40960, ropeBase: 1_000_000),
        "smollm2-135m": ModelShape(
            "llama", embedding: 576, layers: 30, feedForward: 1536, queryHeads: 9, kvHeads: 3, headDimension: 64,
            vocabulary: 49152, tiesEmbeddings: true, context: 8192, ropeBase: 100_000),
        "phi-3-mini": ModelShape(
            "phi3", embedding: 3072, layers: 32, feedForward: 8192, queryHeads: 32, kvHeads: 32, headDimension: 96,
            vocabulary: 32064, tiesEmbeddings: false, context: 4096, ropeBase: 10000),
        "gemma-3-1b": gemma3(),
        "smollm3-3b": ModelShape(
            "smollm3", embedding: 2048, layers: 36, feedForward: 11008, queryHeads: 16, kvHeads: 4, headDimension: 128,
            vocabulary: 128_256, tiesEmbeddings: true, context: 65536, ropeBase: 5_000_000),
        "ministral-3-3b": ministral3(),
        "granite-3.3-2b": granite(
            "granite", 2048, layers: 40, 8192, heads: (32, 8), of: 64, attention: 0.015625, residual: 0.22, logits: 8),
        "granite-3.1-1b-a400m": graniteMoE(),
        "olmo2-1b": ModelShape(
            "olmo2", embedding: 2048, layers: 16, feedForward: 8192, queryHeads: 16, kvHeads: 16, headDimension: 128,
            vocabulary: 100_352, tiesEmbeddings: false, context: 4096, ropeBase: 500_000),
        "olmoe-1b-7b": mixture(
            "olmoe", 2048, layers: 16, experts: .init(count: 64, used: 8), of: 1024, heads: (16, 16), 50304,
            context: 4096, ropeBase: 10000),
        "qwen3-30b-a3b": mixture(
            "qwen3moe", 2048, layers: 48, experts: .init(count: 128, used: 8), of: 768, heads: (32, 4), 151_936,
            context: 40960, ropeBase: 1_000_000),
        "gpt-oss-20b": gptOss(),
        "qwen3.5-0.8b": qwen35(1024, layers: 24, 3584, heads: (8, 2), valueHeads: 16, tied: true),
        "qwen3.5-4b": qwen35(2560, layers: 32, 9216, heads: (16, 4), valueHeads: 32, tied: true),
        "qwen3.5-35b-a3b": qwen35(
            2048, layers: 40, 512, heads: (16, 2), valueHeads: 32,
            experts: .init(count: 256, used: 8, sharedLength: 512, gatesShared: true)),
        "qwen3-next-80b-a3b": qwen3Next(),
        "lfm2-1.2b": lfm2(),
        "lfm2-8b-a1b": lfm2MoE(),
        "granite-4.0-h-micro": graniteHybrid(),
        "gemma-3n-e2b": gemma3n(),
        "gemma-4-e2b": gemma4(),
        "mixtral-8x7b": mixture(
            "llama", 4096, layers: 32, experts: .init(count: 8, used: 2), of: 14336, heads: (32, 8), 32000,
            context: 32768, ropeBase: 1_000_000),
    ]

    private static func llama(
        _ embedding: Int, layers: Int, _ feedForward: Int, heads: (Int, Int), of dimension: Int, _ vocabulary: Int,
        tied: Bool
    ) -> ModelShape {
        var shape = ModelShape(
            "llama", embedding: embedding, layers: layers, feedForward: feedForward, queryHeads: heads.0,
            kvHeads: heads.1, headDimension: dimension, vocabulary: vocabulary, tiesEmbeddings: tied,
            context: 131_072, ropeBase: 500_000)
        shape.hasRopeFactors = true
        return shape
    }

    private static func gemma3() -> ModelShape {
        var shape = ModelShape(
            "gemma3", embedding: 1152, layers: 26, feedForward: 6912, queryHeads: 4, kvHeads: 1, headDimension: 256,
            vocabulary: 262_144, tiesEmbeddings: true, context: 32768, ropeBase: 1_000_000)
        shape.slidingWindow = 512
        return shape
    }

    /// A model whose blocks have experts, with heads of 128.
    private static func mixture(
        _ architecture: String, _ embedding: Int, layers: Int, experts: FeedForward.Experts, of width: Int,
        heads: (Int, Int), _ vocabulary: Int, context: Int, ropeBase: Float
    ) -> ModelShape {
        var shape = ModelShape(
            architecture, embedding: embedding, layers: layers, feedForward: width, queryHeads: heads.0,
            kvHeads: heads.1, headDimension: 128, vocabulary: vocabulary, tiesEmbeddings: false, context: context,
            ropeBase: ropeBase)
        shape.experts = experts
        return shape
    }

    static func granite(
        _ architecture: String, _ embedding: Int, layers: Int, _ feedForward: Int, heads: (Int, Int), of dimension: Int,
        attention: Float, residual: Float, logits: Float
    ) -> ModelShape {
        var shape = ModelShape(
            architecture, embedding: embedding, layers: layers, feedForward: feedForward, queryHeads: heads.0,
            kvHeads: heads.1, headDimension: dimension, vocabulary: 49159, tiesEmbeddings: true, context: 131_072,
            ropeBase: 10_000_000)
        shape.extraFloats = [
            "attention.scale": attention, "residual_scale": residual, "logit_scale": logits, "embedding_scale": 12,
        ]
        return shape
    }

    private static func graniteMoE() -> ModelShape {
        var shape = granite(
            "granitemoe", 1024, layers: 24, 512, heads: (16, 8), of: 64, attention: 0.015625, residual: 0.22, logits: 6)
        shape.experts = .init(count: 32, used: 8)
        return shape
    }

    private static func gptOss() -> ModelShape {
        var shape = ModelShape(
            "gpt-oss", embedding: 2880, layers: 24, feedForward: 2880, queryHeads: 64, kvHeads: 8, headDimension: 64,
            vocabulary: 201_088, tiesEmbeddings: false, context: 131_072, ropeBase: 150_000)
        shape.experts = .init(count: 32, used: 4)
        shape.slidingWindow = 128
        shape.ropeScaling = "yarn"
        shape.extraFloats["rope.scaling.factor"] = 32
        shape.extraIntegers["rope.scaling.original_context_length"] = 4096
        return shape
    }

    private static func ministral3() -> ModelShape {
        var shape = ModelShape(
            "mistral3", embedding: 3072, layers: 26, feedForward: 9216, queryHeads: 32, kvHeads: 8, headDimension: 128,
            vocabulary: 131_072, tiesEmbeddings: true, context: 262_144, ropeBase: 1_000_000)
        shape.ropeScaling = "yarn"
        shape.extraIntegers["rope.scaling.original_context_length"] = 16384
        shape.extraFloats = [
            "rope.scaling.factor": 16, "rope.scaling.yarn_log_multiplier": 1, "attention.temperature_scale": 0.1,
        ]
        return shape
    }
}
