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
    /// Whether the projection behind attention, the router and the experts have biases, and query heads have sinks.
    package var hasSinksAndBiases = false
    package var feedForwardNorm = "ffn_norm"
    /// First blocks without experts.
    package struct DenseBlocks: Sendable, Hashable {
        package var count: Int
        /// The width of their networks.
        package var length: Int

        package init(count: Int, length: Int) {
            self.count = count
            self.length = length
        }
    }

    /// The first blocks, if they have no experts while the others do.
    package var denseBlocks: DenseBlocks?
    /// Whether one tensor holds gate and up of all experts of a block.
    package var fusesExperts = false
    /// The experts among which layers choose; ``feedForward`` is the width of one. nil if there are none.
    package var experts: FeedForward.Experts?
    /// What blocks without attention are like; nil if there are none.
    package var recurrence: RecurrentBlock.Kind?
    /// Every n-th block has attention.
    package var attentionInterval = 4
    /// The blocks with attention, where they are not every n-th.
    package var attentionBlocks: Set<Int>?
    /// What Gemma 3n and 4 have besides.
    package var gemma: GemmaParts?
    package var outputNorm = "output_norm"
    /// How many of a head's numbers RoPE turns; nil: all.
    package var ropeDimensions: Int?
    package var queryKeyNorm: DecoderDescription.QueryKeyNorm?
    package var hasPreNorms = true
    package var hasPostNorms = false
    /// Whether Q, K and V are one tensor, and gate and up another.
    package var isFused = false
    package var slidingWindow: Int?
    /// Every n-th layer sees everything, the others the sliding window.
    package var slidingPattern: Int?
    /// Further numbers of the file, by key without the architecture's prefix.
    package var extraFloats: [String: Float] = [:]
    package var extraIntegers: [String: Int] = [:]
    package var extraFlags: [String: Bool] = [:]
    package var extraLists: [String: [Int32]] = [:]
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
        setFeatures()
    }

    /// What all models of an architecture have.
    private mutating func setFeatures() {
        hasAttentionBias = ["qwen2", "gpt-oss"].contains(architecture)
        hasSinksAndBiases = architecture == "gpt-oss"
        if ["lfm2", "lfm2moe"].contains(architecture) { outputNorm = "token_embd_norm" }
        let isHybrid = ["qwen35", "qwen35moe", "qwen3next"].contains(architecture)
        if isHybrid || architecture == "gpt-oss" { feedForwardNorm = "post_attention_norm" }
        isFused = architecture == "phi3"
        hasPreNorms = architecture != "olmo2"
        if ["gemma3n", "gemma4"].contains(architecture) { gemma = GemmaParts() }
        hasPostNorms = ["gemma3", "olmo2"].contains(architecture)
        if isHybrid || ["qwen3", "qwen3moe", "gemma3", "lfm2", "lfm2moe"].contains(architecture) {
            queryKeyNorm = .perHead
        }
        if ["olmo2", "olmoe"].contains(architecture) { queryKeyNorm = .wholeProjection }
    }

    /// The feed-forward network of a block.
    func network(of block: Int) -> FeedForward {
        if let denseBlocks, block < denseBlocks.count { return FeedForward(length: denseBlocks.length) }
        if let gemma, experts == nil { return FeedForward(length: gemma.lengths?[block] ?? feedForward) }
        var network = FeedForward(length: feedForward)
        network.experts = experts
        network.experts?.biasesChoice = architecture == "lfm2moe"
        network.experts?.hasOwnNorms = gemma != nil
        network.fusesGateAndUp = isFused || fusesExperts
        return network
    }
}
