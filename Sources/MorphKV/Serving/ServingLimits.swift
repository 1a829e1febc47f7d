internal import Ggml

/// What one sequence may have, and whether a request stays within it.
struct ServingLimits: Sendable {
    private let model: Model
    private let options: ServingOptions
    private let contexts: ContextStore
    /// The kind of cache of requests that name none.
    let defaultKind: ServingSlot.Kind
    /// Bytes of one sequence's cache.
    let bytesPerSequence: Int
    /// Caches in these bytes whose requests need most besides them; one for each thing that can be needed.
    let extremes: [CacheOptions]
    /// Slots that a KV head may have; scratch memory was counted for so many.
    let slotsPerHead: Int
    let fullCost: FullCacheCost

    /// - Throws: ``ServingError`` or ``CacheError`` when the options make no sense.
    init(_ model: Model, _ options: ServingOptions, _ contexts: ContextStore) throws {
        try options.validate()
        self.model = model
        self.options = options
        self.contexts = contexts
        fullCost = try FullCacheCost(model, options.cache)
        let grows = try Self.grows(model, options.cache)
        defaultKind = Self.kind(of: options.cache, reserve: grows ? options.tokensPerSequence : 0, context: nil)
        let plan = try CachePlan(model, options.cache, tokens: options.tokensPerSequence)
        bytesPerSequence = plan.bytes
        extremes = Self.extremes(model, options.cache, bytes: plan.bytes)
        let plans = try [plan] + extremes.map { try CachePlan(model, $0, tokens: 0) }
        slotsPerHead = plans.flatMap(\.slots).joined().max() ?? 0
        for (name, context) in options.contexts {
            guard context.model === model else {
                throw ServingError(.invalidRequest, "the context '\(name)' was read by another model")
            }
            try check(cache(of: ServingRequest(prompt: [], after: name)), following: context)
        }
    }

    /// - Throws: ``ServingError`` or ``CacheError`` if sequences of the scheduler's own kind cannot follow a context.
    func check(_ context: CompressedContext) throws {
        var request = ServingRequest(prompt: [])
        request.use = ContextUse(context, id: "")
        try check(cache(of: request), following: context)
    }

    /// The largest caches that fit: one with as many slots as can be, prompts whose every query counts, features of
    /// tokens, and layers or heads with numbers of slots of their own, the latter with prompts that enter by the kernel.
    private static func extremes(_ model: Model, _ cache: CacheOptions, bytes: Int) -> [CacheOptions] {
        var kinds: [(Int) -> any CachePolicy] = [
            { StreamingPolicy(capacity: $0, sinks: 0) }, { H2OPolicy(capacity: $0, window: 0) },
        ]
        // One that cannot be used counts as none: policies that need it are refused.
        if (try? model.calibration()) != nil {
            kinds += [
                { AugurPolicy(capacity: $0) }, { AugurPolicy(capacity: $0, budgets: SlotBudgets(.head)) },
                { H2OPolicy(capacity: $0, window: 0, budgets: SlotBudgets(.head)) },
            ]
        }
        let row = model.description.layers.map(cache.bytesPerToken).min() ?? 1
        return kinds.compactMap { kind in
            func fits(_ capacity: Int) -> Bool? {
                (try? CachePlan(model, cache.with(kind(capacity)), tokens: 0)).map { $0.bytes <= bytes }
            }
            // More does not even fit into one layer. With too few entries a policy cannot be.
            var (least, most) = (1, max(1, bytes / row))
            while least < most {
                let middle = (least + most + 1) / 2
                (least, most) = fits(middle) ?? true ? (middle, most) : (least, middle - 1)
            }
            return fits(least) == true ? cache.with(kind(least)) : nil
        }
    }

    /// The cache of a request: keys and values after a context are stored as the context's are.
    func cache(of request: ServingRequest) -> CacheOptions {
        var cache = request.cache ?? options.cache
        guard let layout = context(of: request)?.cache.layers[0].layout else { return cache }
        (cache.keyType, cache.valueType) = (layout.keyType, layout.valueType)
        return cache
    }

    /// The context that a request follows, if it names one that is in memory.
    func context(of request: ServingRequest) -> CompressedContext? {
        request.use?.context ?? request.context.flatMap(contexts.resident)
    }

    /// Whether some layer's cache grows with the sequence.
    static func grows(_ model: Model, _ cache: CacheOptions) throws -> Bool {
        try KVCache.plans(for: model.description, cache.prepared(for: model), on: model.placement)
            .contains { $0[0].slots == nil }
    }

    private static func kind(of cache: CacheOptions, reserve: Int, context: String?) -> ServingSlot.Kind {
        ServingSlot.Kind(
            policy: cache.policy.specification,
            types: "\(cache.keyType) \(cache.valueType) \(cache.attention.rawValue)", pins: cache.pins,
            context: context,
            reserve: reserve)
    }

    /// The kind of cache of a request that was checked before.
    func kind(of request: ServingRequest) -> ServingSlot.Kind {
        let cache = cache(of: request)
        let grows = (try? Self.grows(model, cache)) ?? false
        return Self.kind(
            of: cache, reserve: grows ? options.tokensPerSequence : 0,
            context: request.use?.id ?? request.context)
    }

    /// The most tokens that an answer can have after a prompt, at least 1.
    func maxTokens(afterPrompt tokens: Int, _ cache: CacheOptions) -> Int {
        let grows = (try? Self.grows(model, cache)) ?? false
        return grows ? max(1, min(options.maxTokens, options.tokensPerSequence - tokens)) : options.maxTokens
    }

    /// Tokens of the trained context that a prompt leaves, and what it follows.
    func trainedRoom(afterPrompt tokens: Int, after context: String?) -> Int {
        model.description.contextLength - tokens - (context.map(contexts.tokens) ?? 0)
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
                "a prompt of \(request.prompt.count) tokens exceeds the available context size of \(options.maxPromptTokens)",
                tokens: (request.prompt.count, options.maxPromptTokens))
        }
        guard request.slot.map({ (0..<options.parallel + options.spareCaches).contains($0) }) ?? true else {
            throw ServingError(.invalidRequest, "there is no slot \(request.slot!)")
        }
        guard (0...options.maxTokens).contains(request.options.maxTokens) else {
            throw ServingError(
                .invalidRequest,
                "an answer of \(request.options.maxTokens) tokens: 0 to \(options.maxTokens) are possible here")
        }
        try request.options.sampling.validate(vocabularySize: vocabulary)
        guard request.context == nil || context(of: request) != nil else {
            throw ServingError(.unknownContext, "the context '\(request.context!.prefix(100))' does not exist here")
        }
        let cache = cache(of: request)
        if request.cache != nil { try check(cache, following: context(of: request)) }
        let pinned = try request.pins.positions(in: request.prompt.count).count
        if pinned > 0 { try pinRoom(of: request).check(pinned) }
        let tokens = request.prompt.count + request.options.maxTokens
        guard try tokens <= options.tokensPerSequence || !Self.grows(model, cache) else {
            throw ServingError(
                .promptTooLong,
                """
                prompt and answer are \(tokens) tokens, which exceeds the available context size of \
                \(options.tokensPerSequence) under the policy \(cache.policy.specification)
                """, tokens: (request.prompt.count, options.tokensPerSequence))
        }
    }

    /// How many tokens a request can pin.
    func pinRoom(of request: ServingRequest) throws -> PinRoom {
        let cache = try cache(of: request).prepared(for: model)
        let context = context(of: request)?.cache
        return PinRoom(
            try KVCache.plans(for: model.description, cache, on: model.placement, following: context), cache)
    }

    /// Bytes of a request's cache.
    func bytes(of request: ServingRequest) throws -> Int {
        try plan(cache(of: request), following: context(of: request)).bytes
    }

    private func plan(_ cache: CacheOptions, following context: CompressedContext?) throws -> CachePlan {
        try CachePlan(model, cache, tokens: options.tokensPerSequence, following: context?.cache)
    }

    /// Whether a request's cache fits where the scheduler's own is.
    func fits(_ request: ServingRequest) -> Bool {
        (try? check(cache(of: request), following: context(of: request))) != nil
    }

    /// Whether a cache of another policy fits where the scheduler's own is.
    private func check(_ cache: CacheOptions, following context: CompressedContext?) throws {
        let plan = try plan(cache, following: context)
        guard plan.bytes <= bytesPerSequence else {
            throw ServingError(
                .doesNotFit,
                """
                a cache under the policy \(cache.policy.specification) takes \(plan.bytes) bytes; a sequence has \
                \(bytesPerSequence) here
                """)
        }
        let slots = plan.slots.joined().max() ?? 0
        guard slots <= slotsPerHead else {
            throw ServingError(
                .doesNotFit,
                """
                a cache under the policy \(cache.policy.specification) has \(slots) slots for a KV head of some layer; \
                \(slotsPerHead) are possible here
                """)
        }
    }
}
