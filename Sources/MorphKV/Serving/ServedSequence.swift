/// One request while it is computed: how far its prompt is, what is being written.
final class ServedSequence {
    let ticket: Ticket
    let slot: ServingSlot
    private let tokenizer: Tokenizer?
    private let sampler: Sampler
    /// Tokens that its cache had seen when it began, the context's included.
    let cachedTokens: Int
    private let contextTokens: Int
    private let chunk: Int
    private let full: FullCacheCost
    private var text: TextStream
    private var emittedBytes = 0
    private var generatedBytes = 0
    /// Tokens whose text is held back, with the place where it begins.
    private var heldBack: [(token: ScoredToken, start: Int)] = []
    private(set) var generated = 0
    /// A token that was sampled but not fed yet.
    private(set) var unfed: Token?
    /// When its last token was chosen; nil before the first one, and while nobody takes the pieces.
    var lastToken: ContinuousClock.Instant?
    /// Since when nobody takes the pieces.
    var fullSince: ContinuousClock.Instant?

    /// - Throws: ``GenerationError`` when an option is out of range.
    init(
        _ ticket: Ticket, slot: ServingSlot, model: Model, chunk: Int, full: FullCacheCost, memory: SamplerMemory
    ) throws {
        self.ticket = ticket
        self.slot = slot
        self.chunk = chunk
        self.full = full
        tokenizer = model.tokenizer
        contextTokens = slot.engine?.contextTokens ?? 0
        cachedTokens = contextTokens + slot.fed.count
        let options = ticket.request.options
        sampler = try Sampler(
            options.sampling, vocabularySize: model.description.vocabularySize, memory: memory)
        text = TextStream(stops: options.stop)
    }

    private var prompt: [Token] { ticket.request.prompt }
    private var options: GenerationOptions { ticket.request.options }

    /// Whether a part of the prompt is still to be fed.
    var hasPrompt: Bool { slot.fed.count < prompt.count }

    /// Feeds the next part of the prompt: the same parts whatever else is computed.
    ///
    /// - Returns: the number of tokens fed.
    func feedPrompt(to engine: Engine) throws -> Int {
        let part = Array(prompt[slot.fed.count..<endOfPart()])
        try engine.prefill(part, continuesFirstPrompt: cachedTokens == 0)
        slot.fed += part
        return part.count
    }

    private func endOfPart() -> Int {
        if contextTokens > 0 {
            // Behind a context tokens enter in pieces, which stay whole, so that they are those of an undivided prompt.
            let piece = Engine.pieces[0]
            return min(prompt.count, slot.fed.count + max(piece, chunk / piece * piece))
        }
        let new = prompt.count - cachedTokens
        let parts = (new + chunk - 1) / chunk
        let done = slot.fed.count - cachedTokens
        return cachedTokens + ((1...parts).lazy.map { $0 * new / parts }.first { $0 > done } ?? new)
    }

    /// Notes that the last token was fed.
    func didFeed() {
        if let unfed { slot.fed.append(unfed) }
        unfed = nil
    }

    /// Chooses the next token from the engine's logits.
    ///
    /// - Returns: what it gave; nil if that is nothing for the reader yet.
    func advance(_ engine: Engine) throws -> ServingPiece? {
        let token = try sampler.sample(engine.logits)
        if !options.ignoresEndOfText, tokenizer?.endsGeneration(token) == true {
            return finish(engine, .stop, text: text.finish())
        }
        unfed = token
        generated += 1
        let bytes = tokenizer?.bytes(of: token) ?? []
        if let count = ticket.request.topLogprobs {
            let scored = ScoredToken(token, in: engine.logits, top: count, tokenizer: tokenizer)
            heldBack.append((scored, generatedBytes))
        }
        generatedBytes += bytes.count
        let certain = text.append(bytes)
        if text.isStopped { return finish(engine, .stop, text: certain) }
        if generated >= options.maxTokens { return finish(engine, .length, text: certain + text.finish()) }
        let view = view(engine)
        let tokens = release(with: certain)
        guard !certain.isEmpty || !tokens.isEmpty || view != nil else { return nil }
        return ServingPiece(text: certain, tokens: tokens, view: view)
    }

    private func view(_ engine: Engine) -> CacheView? {
        guard let interval = ticket.request.viewInterval, generated % max(1, interval) == 1 || interval <= 1 else {
            return nil
        }
        return CacheView(engine, prompt: contextTokens + prompt.count, full: full)
    }

    /// The tokens whose text is, at least in part, among what was emitted by now.
    private func release(with new: String) -> [ScoredToken] {
        emittedBytes += new.utf8.count
        let count = emittedBytes >= generatedBytes ? heldBack.count : heldBack.prefix { $0.start < emittedBytes }.count
        defer { heldBack.removeFirst(count) }
        return heldBack.prefix(count).map(\.token)
    }

    private func finish(_ engine: Engine, _ reason: Generation.FinishReason, text last: String) -> ServingPiece {
        // What a stop string cut off is not part of the answer, and its tokens are not either.
        let released = release(with: last)
        let tokens = text.isStopped ? released : released + heldBack.map(\.token)
        let end = ServingPiece.End(
            reason: reason, promptTokens: contextTokens + prompt.count, cachedTokens: cachedTokens, tokens: generated,
            policy: engine.statistics.policy, slotsUsed: engine.slotsUsed, evicted: engine.evicted,
            cacheBytes: engine.statistics.allocatedBytes, fullCacheBytes: full.bytes(of: engine.seen))
        let view = ticket.request.viewInterval.map { _ in
            CacheView(engine, prompt: contextTokens + prompt.count, full: full)
        }
        return ServingPiece(text: last, tokens: tokens, view: view, end: end)
    }
}
