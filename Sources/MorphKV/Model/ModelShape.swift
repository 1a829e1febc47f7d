/// The shape of a model with random weights, for measurements of speed and for tests.
package struct ModelShape: Sendable, Hashable {
    package var architecture: String
    package var embedding: Int
    package var layers: Int
    package var feedForward: Int
    package var queryHeads: Int
    package var kvHeads: Int
    package var headDimension: Int
    package var vocabulary: Int
    package var tiesEmbeddings: Bool
    package var context: Int
    package var ropeBase: Float
    package var epsilon: Float = 1e-5
    package var hasAttentionBias = false
    package var slidingWindow: Int?
    /// Every n-th layer sees everything, the others the sliding window.
    package var slidingPattern: Int?
    /// Further numbers of the file, by key without the architecture's prefix.
    package var extraFloats: [String: Float] = [:]
    package var extraIntegers: [String: Int] = [:]
    package var ropeScaling: String?
    /// Whether to write RoPE frequency factors, as Llama 3.x and Phi-3 have them.
    package var hasRopeFactors = false

    package init(
        _ architecture: String, embedding: Int, layers: Int, feedForward: Int, queryHeads: Int, kvHeads: Int,
        headDimension: Int, vocabulary: Int, tiesEmbeddings: Bool, context: Int, ropeBase: Float
    ) {
        self.architecture = architecture
        self.embedding = embedding
        self.layers = layers
        self.feedForward = feedForward
        self.queryHeads = queryHeads
        self.kvHeads = kvHeads
        self.headDimension = headDimension
        self.vocabulary = vocabulary
        self.tiesEmbeddings = tiesEmbeddings
        self.context = context
        self.ropeBase = ropeBase
        hasAttentionBias = architecture == "qwen2"
    }
}

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
}

extension ModelShape {
    /// A tensor of the file and how its random values are spread.
    struct TensorPlan {
        let name: String
        let shape: [Int]
        let mean: Float
        let deviation: Float
    }

    /// All tensors that the architecture's converter would write.
    var tensors: [TensorPlan] {
        var all: [TensorPlan] = []
        func matrix(_ name: String, _ input: Int, _ output: Int, gain: Float = 1) {
            all.append(
                TensorPlan(name: name, shape: [input, output], mean: 0, deviation: gain / Float(input).squareRoot()))
        }
        func vector(_ name: String, _ length: Int, mean: Float = 1, deviation: Float = 0.1) {
            all.append(TensorPlan(name: name, shape: [length], mean: mean, deviation: deviation))
        }
        all.append(
            TensorPlan(name: "token_embd.weight", shape: [embedding, vocabulary], mean: 0, deviation: 1))
        if !tiesEmbeddings { matrix("output.weight", embedding, vocabulary) }
        vector("output_norm.weight", embedding)
        if hasRopeFactors {
            let names = architecture == "phi3" ? ["rope_factors_long", "rope_factors_short"] : ["rope_freqs"]
            for name in names { vector("\(name).weight", headDimension / 2, mean: 2) }
        }
        for layer in 0..<layers { addBlock("blk.\(layer).", matrix, vector) }
        return all
    }

    private func addBlock(
        _ prefix: String, _ matrix: (String, Int, Int, Float) -> Void, _ vector: (String, Int, Float, Float) -> Void
    ) {
        let queries = queryHeads * headDimension
        let keys = kvHeads * headDimension
        vector(prefix + "attn_norm.weight", embedding, 1, 0.1)
        vector(prefix + "ffn_norm.weight", embedding, 1, 0.1)
        if architecture == "phi3" {
            matrix(prefix + "attn_qkv.weight", embedding, queries + 2 * keys, 1.2)
            matrix(prefix + "ffn_up.weight", embedding, 2 * feedForward, 1)
        } else {
            // Somewhat larger queries and keys make attention favour some tokens, as trained models do.
            matrix(prefix + "attn_q.weight", embedding, queries, 1.2)
            matrix(prefix + "attn_k.weight", embedding, keys, 1.2)
            matrix(prefix + "attn_v.weight", embedding, keys, 1)
            matrix(prefix + "ffn_gate.weight", embedding, feedForward, 1)
            matrix(prefix + "ffn_up.weight", embedding, feedForward, 1)
        }
        if hasAttentionBias {
            vector(prefix + "attn_q.bias", queries, 0, 0.5)
            vector(prefix + "attn_k.bias", keys, 0, 0.5)
            vector(prefix + "attn_v.bias", keys, 0, 0.5)
        }
        if architecture == "qwen3" || architecture == "gemma3" {
            vector(prefix + "attn_q_norm.weight", headDimension, 1, 0.1)
            vector(prefix + "attn_k_norm.weight", headDimension, 1, 0.1)
        }
        if architecture == "gemma3" {
            vector(prefix + "post_attention_norm.weight", embedding, 1, 0.1)
            vector(prefix + "post_ffw_norm.weight", embedding, 1, 0.1)
        }
        matrix(prefix + "attn_output.weight", queries, embedding, 1)
        matrix(prefix + "ffn_down.weight", feedForward, embedding, 1)
    }
}
