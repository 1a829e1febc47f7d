package import Ggml

/// A decoder-only transformer as data: everything the graph builder needs to know besides the weights.
public struct DecoderDescription: Sendable, Hashable {
    /// One transformer block.
    public struct Layer: Sendable, Hashable {
        /// How far back this layer sees, the current token included; nil if it sees everything.
        public internal(set) var slidingWindow: Int?
        package var rope: RopeParameters
    }

    /// The gate of the feed-forward network.
    public enum Activation: String, Sendable, Hashable {
        /// silu(gate) * up, as in Llama.
        case silu
        /// gelu(gate) * up with the tanh approximation, as in Gemma.
        case gelu
    }

    /// GGUF's name of the architecture, such as "llama".
    public internal(set) var architecture: String
    /// Number of token ids.
    public internal(set) var vocabularySize: Int
    /// Width of the residual stream.
    public internal(set) var embeddingLength: Int
    /// Width of the feed-forward network.
    public internal(set) var feedForwardLength: Int
    /// Longest context the model was trained for, in tokens.
    public internal(set) var contextLength: Int
    /// Query heads per layer.
    public internal(set) var queryHeads: Int
    /// KV heads per layer; a divisor of ``queryHeads``.
    public internal(set) var kvHeads: Int
    /// Length of one key, query and value vector.
    public internal(set) var headDimension: Int
    /// All blocks, from the input to the output.
    public internal(set) var layers: [Layer]
    /// Epsilon of the RMS norms.
    public internal(set) var normEpsilon: Float
    /// The gate of the feed-forward network.
    public internal(set) var activation: Activation = .silu
    /// What embeddings are multiplied by.
    public internal(set) var embeddingScale: Float = 1
    /// What attention scores are multiplied by before the softmax.
    public internal(set) var attentionScale: Float
    /// Logits x become tanh(x / c) * c; nil leaves them.
    public internal(set) var finalSoftcap: Float?
    /// Whether queries and keys are normalised per head before RoPE.
    public internal(set) var normalizesQueriesAndKeys = false
    /// Whether the outputs of attention and feed-forward are normalised before they are added.
    public internal(set) var hasPostNorms = false
    /// Whether `ffn_up` holds gate and up in one tensor.
    public internal(set) var fusesGateAndUp = false
    /// The tensor with the RoPE frequency factors; nil if there is none.
    var ropeFactors: String?

    /// Query heads that share one KV head.
    public var groupSize: Int { queryHeads / kvHeads }
}
