#if Server
internal import MorphKV

/// What requests for chats and for plain completions have in common.
struct GenerationFields: Decodable, Sendable {
    struct StreamOptions: Decodable, Sendable {
        var includeUsage: Bool?
    }

    /// This server's own extensions.
    struct Extension: Decodable, Sendable {
        /// A policy as `morphkv policies` lists them.
        var policy: String?
        /// Entries per KV head.
        var capacity: Int?
        /// The name of the context that the prompt follows.
        var context: String?
        /// Whether a context may be found that the prompt begins with, if none is named: not with `false` and `null`.
        var findsContext = true
        /// After how many tokens to send a picture of the cache; streamed answers only.
        var view: Int?

        private enum CodingKeys: CodingKey { case policy, capacity, context, view }

        init() {}

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            policy = try container.decodeIfPresent(String.self, forKey: .policy)
            capacity = try container.decodeIfPresent(Int.self, forKey: .capacity)
            view = try container.decodeIfPresent(Int.self, forKey: .view)
            guard container.contains(.context) else { return }
            findsContext = false
            if (try? container.decode(Bool.self, forKey: .context)) == false { return }
            context = try container.decodeIfPresent(String.self, forKey: .context)
        }
    }

    /// What becomes of a conversation that is longer than the trained context; OpenAI's name, from its interface for responses.
    enum Truncation: String, Decodable, Sendable {
        /// It is answered: what leaves the cache is the policy's affair.
        case auto
        /// It is refused, and answers end with the context.
        case disabled
    }

    /// One text or several.
    enum Texts: Decodable, Sendable {
        case one(String)
        case several([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .one(text)
            } else {
                self = .several(try container.decode([String].self))
            }
        }

        var all: [String] {
            switch self {
            case .one(let text): [text]
            case .several(let texts): texts
            }
        }
    }

    var model: String?
    var stream: Bool?
    var streamOptions: StreamOptions?
    var n: Int?
    var stop: Texts?
    var maxTokens: Int?
    var maxCompletionTokens: Int?
    /// llama-server's: tokens that the answer may have, fewer where the sequence has no room for them; -1 for that many.
    var nPredict: Int?
    /// llama-server's: the slot that the request must have.
    var idSlot: Int?
    /// llama-server's: whether it may go on from the cache of an ended answer.
    var cachePrompt: Bool?
    /// llama-server's: whether parts of a streamed answer say how far the prompt is.
    var returnProgress: Bool?
    /// llama-server's: whether parts of a streamed answer say what took how long.
    var timingsPerToken: Bool?
    /// llama-server's: whether the answer has the prompt as the model saw it.
    var verbose: Bool?
    var temperature: Float?
    var topP: Float?
    var topK: Int?
    var minP: Float?
    var seed: Int?
    var presencePenalty: Float?
    var frequencyPenalty: Float?
    var logitBias: [String: Float]?
    var truncation: Truncation?
    var morphkv: Extension?

    /// Tokens that an answer may have.
    ///
    /// - Parameters:
    ///   - usual: where the request does not say.
    ///   - most: as many as can be.
    ///   - room: what the prompt leaves of the trained context.
    /// - Throws: ``APIError`` if that is too little and the request does not want to go on beyond it.
    func maxTokens(usual: Int, most: Int, room: Int) throws -> Int {
        let predicted = nPredict.map { $0 < 0 ? most : min($0, most) }
        let asked = maxCompletionTokens ?? maxTokens ?? predicted
        guard truncation == .disabled else { return asked ?? usual }
        guard room >= asked ?? 1 else {
            throw APIError.invalid(
                "the prompt leaves \(max(0, room)) tokens of the context that the model was trained for, and "
                    + "\(asked ?? 1) are wanted; without 'truncation': 'disabled' the answer goes on beyond it",
                param: "truncation", code: "context_length_exceeded")
        }
        return asked ?? min(usual, room)
    }

    /// - Throws: ``APIError`` naming the field that is out of range.
    ///
    /// - Parameter mayHaveNoTokens: whether an answer without tokens has something to say.
    func validate(_ configuration: ServerConfiguration, mayHaveNoTokens: Bool = false) throws {
        func require<Value: Comparable>(_ value: Value?, _ range: ClosedRange<Value>, _ name: String) throws {
            guard let value, !range.contains(value) else { return }
            throw APIError.invalid("'\(name)' must be from \(range.lowerBound) to \(range.upperBound)", param: name)
        }
        if let model, configuration.isStrictAboutModel, !configuration.modelNames.contains(model) {
            throw APIError.notFound(
                "the model '\(model.prefix(100))' does not exist here; there is '\(configuration.modelName)'",
                param: "model", code: "model_not_found")
        }
        try require(n, 1...configuration.maxChoices, "n")
        try require(temperature, 0...2, "temperature")
        try require(topP, 0...1, "top_p")
        try require(topK, 0...1 << 20, "top_k")
        try require(minP, 0...1, "min_p")
        try require(presencePenalty, -2...2, "presence_penalty")
        try require(frequencyPenalty, -2...2, "frequency_penalty")
        try require(stop?.all.count, 0...16, "stop")
        try require(stop?.all.map(\.utf8.count).max(), 1...1024, "stop")
        try require(maxTokens, (mayHaveNoTokens ? 0 : 1)...1 << 24, "max_tokens")
        try require(maxCompletionTokens, 1...1 << 24, "max_completion_tokens")
        try require(nPredict, -1...1 << 24, "n_predict")
        try require(logitBias?.count, 0...1024, "logit_bias")
        try require(morphkv?.view, 8...1 << 20, "morphkv.view")
        for bias in logitBias?.values ?? [:].values { try require(bias, -100...100, "logit_bias") }
        guard streamOptions == nil || stream == true else {
            throw APIError.invalid("'stream_options' needs 'stream'", param: "stream_options")
        }
    }

    /// How the `index`th of several answers is sampled.
    ///
    /// - Parameter defaults: what counts where the request does not say.
    func sampling(_ index: Int, _ defaults: SamplingDefaults) throws -> SamplingOptions {
        var biases: [Token: Float] = [:]
        for (key, bias) in logitBias ?? [:] {
            guard let token = Token(key) else {
                throw APIError.invalid(
                    "'logit_bias' has the key '\(key.prefix(20))', not a token id", param: "logit_bias")
            }
            biases[token] = bias
        }
        let given = seed.flatMap { $0 == -1 ? nil : UInt32(truncatingIfNeeded: $0) }
        let first = given ?? defaults.seed ?? .random(in: 0...UInt32.max)
        return SamplingOptions(
            temperature: temperature ?? defaults.temperature ?? 1, topK: topK ?? defaults.topK ?? 0,
            topP: topP ?? defaults.topP ?? 1, minP: minP ?? defaults.minP ?? 0,
            frequencyPenalty: frequencyPenalty ?? 0, presencePenalty: presencePenalty ?? 0, penaltyWindow: 4096,
            seed: first &+ UInt32(index), logitBias: biases)
    }
}
#endif
