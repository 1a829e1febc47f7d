internal import Foundation
package import Ggml

/// A decoder-only transformer as data: everything the graph builder needs to know besides the weights.
public struct DecoderDescription: Sendable, Hashable {
    /// One transformer block with attention.
    public struct Layer: Sendable, Hashable {
        /// Its number among all blocks, from the input.
        public internal(set) var block: Int
        /// KV heads; a divisor of ``DecoderDescription/queryHeads``.
        public internal(set) var kvHeads: Int
        /// Length of one key, query and value vector.
        public internal(set) var headDimension: Int
        /// How far back this layer sees, the current token included; nil if it sees everything.
        public internal(set) var slidingWindow: Int?
        /// How queries and keys are rotated; nil if they are not, so that the layer knows no positions.
        package var rope: RopeParameters?
        /// Whether the model's RoPE factors are for this layer.
        var usesRopeFactors = true
        /// The block's second half.
        public internal(set) var feedForward: FeedForward
    }

    /// A block with queries only, which attends to the keys and values of a layer before it (as in Gemma 3n): that layer has
    /// one cache for both. All such blocks come behind the last layer.
    public struct QueryBlock: Sendable, Hashable {
        /// The block itself; its KV heads are those of the layer.
        public internal(set) var block: Layer
        /// The index in ``DecoderDescription/layers`` of the layer whose keys and values it attends to.
        public internal(set) var layer: Int
        /// Its number among the blocks that attend to that layer's, from 1.
        public internal(set) var reader: Int
    }

    /// Several residual streams, of which one goes through each block; what becomes of the others is predicted from it
    /// (AltUp, arXiv 2301.13310, as in Gemma 3n).
    struct Alternatives: Sendable, Hashable {
        /// Streams.
        let count: Int
        /// The stream that goes through the blocks.
        let active: Int
        /// Rank of the product beside attention (LAuReL, arXiv 2411.07501).
        let rank: Int
    }

    /// What queries and keys are normalised by before RoPE.
    public enum QueryKeyNorm: Int, Sendable, Hashable {
        /// Each head by itself, as in Qwen 3.
        case perHead = 1
        /// All heads' numbers together, as in OLMo 2.
        case wholeProjection = 2
    }

    /// Queries become larger with their position, so that attention to long texts stays as sharp: by
    /// 1 + scale * ln(1 + floor(position / period)), as in Ministral 3.
    package struct QueryTemperature: Sendable, Hashable {
        package let scale: Float
        package let period: Int

        package func factor(at position: Int) -> Float {
            Float(log((Float(position) / Float(period)).rounded(.down) + 1)) * scale + 1
        }
    }

    /// GGUF's name of the architecture, such as "llama".
    public internal(set) var architecture: String
    /// Number of token ids.
    public internal(set) var vocabularySize: Int
    /// Width of the residual stream.
    public internal(set) var embeddingLength: Int
    /// Longest context the model was trained for, in tokens.
    public internal(set) var contextLength: Int
    /// Query heads per layer.
    public internal(set) var queryHeads: Int
    /// The most KV heads of a layer; a divisor of ``queryHeads``.
    public internal(set) var kvHeads: Int
    /// The most numbers of a key, query and value vector.
    public internal(set) var headDimension: Int
    /// The blocks with attention, from the input to the output: what caches, policies and calibrations call layers. Most
    /// models have no others.
    public internal(set) var layers: [Layer]
    /// The blocks without attention, from the input to the output.
    public internal(set) var recurrentBlocks: [RecurrentBlock] = []
    /// The blocks that attend to keys and values of ``layers``, from the input to the output; behind all of these.
    public internal(set) var queryBlocks: [QueryBlock] = []
    /// Epsilon of the RMS norms.
    public internal(set) var normEpsilon: Float
    /// What embeddings are multiplied by.
    public internal(set) var embeddingScale: Float = 1
    /// What the outputs of attention and feed-forward are multiplied by before they are added.
    public internal(set) var residualScale: Float = 1
    /// What attention scores are multiplied by before the softmax.
    public internal(set) var attentionScale: Float
    /// What logits are multiplied by.
    public internal(set) var logitScale: Float = 1
    /// Logits x become tanh(x / c) * c; nil leaves them.
    public internal(set) var finalSoftcap: Float?
    /// How queries and keys are normalised before RoPE; nil if they are not.
    public internal(set) var queryKeyNorm: QueryKeyNorm?
    /// Whether each query head has a learned term in its softmax that no entry gets (arXiv 2309.17453, as in gpt-oss).
    public internal(set) var hasAttentionSinks = false
    /// Whether what attention gives is multiplied by the sigmoid of a gate, which the query projection computes too.
    public internal(set) var gatesAttention = false
    /// Whether the inputs of attention and feed-forward are normalised.
    public internal(set) var hasPreNorms = true
    /// Whether the outputs of attention and feed-forward are normalised before they are added.
    public internal(set) var hasPostNorms = false
    /// Whether values are normalised, without weights.
    public internal(set) var normalizesValues = false
    /// Whether a block may have no value projection: its keys before norm and RoPE are its values then.
    var mayShareValues = false
    /// Numbers of each token that a block gets besides the residual stream; 0 if there are none.
    public internal(set) var perLayerLength = 0
    /// Whether a block's output may be multiplied by a number of its own.
    var mayScaleBlocks = false
    /// Several residual streams; nil if there is one.
    var alternatives: Alternatives?
    /// How queries grow with their position; nil if they do not.
    package var queryTemperature: QueryTemperature?
    /// The name of the norm before the feed-forward network.
    var feedForwardNorm = "ffn_norm"
    /// The name of the norm behind the last block.
    var outputNorm = "output_norm"
    /// The tensor with the RoPE frequency factors; nil if there is none.
    var ropeFactors: String?

    /// Query heads that share one KV head.
    public var groupSize: Int { queryHeads / kvHeads }
}
