internal import Ggml

/// What one sequence may have, and whether a request stays within it.
struct ServingLimits: Sendable {
    private let model: Model
    private let options: ServingOptions
    /// The kind of cache of requests that name none.
    let defaultKind: ServingSlot.Kind
    /// Bytes of one sequence's cache.
    let bytesPerSequence: Int
    let fullCost: FullCacheCost

    /// - Throws: ``ServingError`` or ``CacheError`` when the options make no sense.
    init(_ model: Model, _ options: ServingOptions) throws {
        try options.validate()
        self.model = model
        self.options = options
        fullCost = try FullCacheCost(model, options.cache)
        let grows = try Self.grows(model, options.cache)
        defaultKind = Self.kind(of: options.cache, reserve: grows ? options.tokensPerSequence : 0)
        bytesPerSequence = try CachePlan(model, options.cache, tokens: options.tokensPerSequence).bytes
    }

    /// Whether some layer's cache grows with the sequence.
    static func grows(_ model: Model, _ cache: CacheOptions) throws -> Bool {
        try KVCache.plans(for: model.description, cache, on: model.device).contains { $0.slots == nil }
    }

    private static func kind(of cache: CacheOptions, reserve: Int) -> ServingSlot.Kind {
        ServingSlot.Kind(
            policy: cache.policy.specification,
            types: "\(cache.keyType) \(cache.valueType) \(cache.attention.rawValue)", reserve: reserve)
    }

    /// The kind of a cache that was checked before.
    func kind(of cache: CacheOptions) -> ServingSlot.Kind {
        let grows = (try? Self.grows(model, cache)) ?? false
        return Self.kind(of: cache, reserve: grows ? options.tokensPerSequence : 0)
    }

    /// The most tokens that an answer can have after a prompt, at least 1.
    func maxTokens(afterPrompt tokens: Int, _ cache: CacheOptions) -> Int {
        let grows = (try? Self.grows(model, cache)) ?? false
        return grows ? max(1, min(options.maxTokens, options.tokensPerSequence - tokens)) : options.maxTokens
    }

    /// Refuses what would break a limit.
    ///
    /// - Throws: ``ServingError`` saying which limit, ``CacheError`` or ``GenerationError`` for options that make no
    ///   sense.
    func check(_ request: ServingRequest) throws {
        guard !request.prompt.isEmpty else { throw ServingError(.invalidRequest, "the prompt is empty") }
        let vocabulary = model.description.vocabularySize
        guard request.prompt.allSatisfy({ $0 >= 0 && Int($0) < vocabulary }) else {
            throw ServingError(.invalidRequest, "the prompt has a token id outside the vocabulary of \(vocabulary)")
        }
        guard request.prompt.count <= options.maxPromptTokens else {
            throw ServingError(
                .promptTooLong,
                "the prompt has \(request.prompt.count) tokens; \(options.maxPromptTokens) are possible here")
        }
        guard (1...options.maxTokens).contains(request.options.maxTokens) else {
            throw ServingError(
                .invalidRequest,
                "an answer of \(request.options.maxTokens) tokens: 1 to \(options.maxTokens) are possible here")
        }
        try request.options.sampling.validate(vocabularySize: vocabulary)
        let cache = request.cache ?? options.cache
        if request.cache != nil { try check(cache) }
        let tokens = request.prompt.count + request.options.maxTokens
        guard try tokens <= options.tokensPerSequence || !Self.grows(model, cache) else {
            throw ServingError(
                .promptTooLong,
                """
                prompt and answer are \(tokens) tokens; under the policy \(cache.policy.specification) \
                \(options.tokensPerSequence) are possible here
                """)
        }
    }

    /// Whether a cache of another policy fits where the scheduler's own is.
    private func check(_ cache: CacheOptions) throws {
        let bytes = try CachePlan(model, cache, tokens: options.tokensPerSequence).bytes
        guard bytes <= bytesPerSequence else {
            throw ServingError(
                .doesNotFit,
                """
                a cache under the policy \(cache.policy.specification) takes \(bytes) bytes; a sequence has \
                \(bytesPerSequence) here
                """)
        }
    }
}
