/// One request while it is computed: feeds its prompt in parts, then drives its answer's ``GenerationState``.
final class ServedSequence {
    let queued: QueuedRequest
    let slot: ServingSlot
    /// Tokens that its cache had seen when it began, the context's included.
    let cachedTokens: Int
    /// Pinned tokens of the prompt that its cache had not seen.
    let newPins: Int
    /// Tokens that its cache had dropped when it began.
    let evictedBefore: Int
    private let contextTokens: Int
    private let chunk: Int
    private let full: FullCacheCost
    private let tokenizer: Tokenizer?
    private let state: GenerationState
    /// A token that was chosen but not fed yet.
    private(set) var unfed: Token?
    /// When its last token was chosen; nil before the first one, and while the reader is too far behind.
    var lastToken: ContinuousClock.Instant?
    /// Since when the reader is too far behind.
    var fullSince: ContinuousClock.Instant?
    private let began: ContinuousClock.Instant
    private(set) var timings = ServingTimings()
    /// Tokens of the answer that no piece has had yet.
    private var ids: [Token] = []

    /// - Throws: ``GenerationError`` when an option is out of range, ``CacheError`` when the pins do not fit.
    init(
        _ queued: QueuedRequest, slot: ServingSlot, model: Model, chunk: Int, full: FullCacheCost,
        memory: SamplerMemory, at now: ContinuousClock.Instant
    ) throws {
        self.queued = queued
        began = now
        self.slot = slot
        self.chunk = chunk
        self.full = full
        tokenizer = model.tokenizer
        contextTokens = slot.engine?.contextTokens ?? 0
        evictedBefore = slot.engine?.evicted ?? 0
        cachedTokens = contextTokens + slot.fed.count
        let request = queued.request
        state = try GenerationState(
            prompt: request.prompt, options: request.options, model: model, topLogprobs: request.topLogprobs,
            scoresSampling: request.reportsSampling, memory: memory)
        let pins = slot.unseenPins(of: request)
        newPins = pins.count
        try slot.engine?.cache.pin(pins)
        timings.cachedTokens = cachedTokens
    }

    private var prompt: [Token] { queued.request.prompt }
    /// Tokens of the answer so far.
    var generated: Int { state.generated }

    // MARK: The prompt

    /// Whether a part of the prompt is still to be fed.
    var hasPrompt: Bool { slot.fed.count < prompt.count }

    /// Whether a part of the prompt can be fed now: the reader of its probabilities must keep up.
    var canFeedPrompt: Bool { hasPrompt && !(queued.request.scoresPrompt && queued.answer.isFull) }

    /// Feeds the next part of the prompt; the parts depend on nothing else that is computed.
    ///
    /// - Returns: the number of tokens fed.
    func feedPrompt(to engine: Engine) throws -> Int {
        guard queued.request.scoresPrompt else {
            let part = nextPart(to: engine)
            try engine.prefill(part.tokens, continuesFirstPrompt: part.continuesFirstPrompt)
            didFeed(part)
            return part.tokens.count
        }
        let end = min(prompt.count, slot.fed.count + Self.scoredPart)
        let part = Array(prompt[slot.fed.count..<end])
        queued.answer.add(piece(prompt: try score(part, engine)))
        timings.promptTokens += part.count
        return part.count
    }

    /// The next part of the prompt, where it can be fed with those of others.
    ///
    /// - Returns: nil if nothing can be fed, or each token's probability is wanted.
    func sharedPart(to engine: Engine) -> Engine.Prompt? {
        canFeedPrompt && !queued.request.scoresPrompt ? nextPart(to: engine) : nil
    }

    private func nextPart(to engine: Engine) -> Engine.Prompt {
        let tokens = Array(prompt[slot.fed.count..<endOfPart()])
        return Engine.Prompt(engine, tokens, continuesFirstPrompt: cachedTokens == contextTokens)
    }

    /// Notes that a part of the prompt was fed.
    func didFeed(_ part: Engine.Prompt) {
        slot.fed += part.tokens
        timings.promptTokens += part.tokens.count
    }

    /// Tokens of a prompt whose probabilities are read between two steps: as many as keep running answers waiting for about
    /// as long as a part that is fed at once.
    private static let scoredPart = 8

    /// Feeds tokens one by one and says how likely each was.
    private func score(_ part: [Token], _ engine: Engine) throws -> [ScoredToken] {
        var scored: [ScoredToken] = []
        for token in part {
            if slot.fed.isEmpty {
                if contextTokens > 0 { scored.append(self.scored(token, engine.logits)) }
                try engine.prefill([token])
            } else {
                scored.append(self.scored(token, engine.logits))
                try engine.decode(token)
            }
            slot.fed.append(token)
        }
        return scored
    }

    private func scored(_ token: Token, _ logits: [Float]) -> ScoredToken {
        ScoredToken(token, in: logits, top: queued.request.topLogprobs ?? 0, tokenizer: tokenizer)
    }

    /// Says how far the prompt is, if that was asked for and its reader keeps up.
    func reportProgress(at now: ContinuousClock.Instant) {
        timings.promptSeconds = timings.promptTokens == 0 ? 0 : (now - began) / .seconds(1)
        guard queued.request.reportsProgress, !queued.answer.isFull else { return }
        var piece = piece()
        piece.progress = .init(
            total: contextTokens + prompt.count, cached: cachedTokens,
            processed: contextTokens + min(slot.fed.count, prompt.count))
        queued.answer.add(piece)
    }

    private func piece(prompt: [ScoredToken] = []) -> ServingPiece {
        ServingPiece(text: "", tokens: [], prompt: prompt, timings: timings, slot: slot.index)
    }

    private func endOfPart() -> Int {
        if contextTokens > 0 {
            // Behind a context so many tokens enter at once; parts of whole steps give what an undivided prompt gives.
            let step = Engine.feedSizes[0]
            return min(prompt.count, slot.fed.count + max(step, chunk / step * step))
        }
        let new = prompt.count - cachedTokens
        let parts = (new + chunk - 1) / chunk
        let done = slot.fed.count - cachedTokens
        return cachedTokens + ((1...parts).lazy.map { $0 * new / parts }.first { $0 > done } ?? new)
    }

    // MARK: The answer

    /// Notes that the last token was fed.
    func didFeed() {
        if let unfed { slot.fed.append(unfed) }
        unfed = nil
    }

    /// Chooses the next token from the engine's logits.
    ///
    /// - Returns: what it gave; nil if that is nothing for the reader yet.
    func advance(_ engine: Engine, at now: ContinuousClock.Instant) throws -> ServingPiece? {
        let step = try state.next(engine.logits)
        unfed = step.token
        note(step.token, at: now)
        let view = view(engine, isLast: step.finish != nil)
        guard !step.text.isEmpty || !step.scored.isEmpty || view != nil || step.finish != nil else { return nil }
        defer { ids = [] }
        return ServingPiece(
            text: step.text, tokens: step.scored, view: view, end: step.finish.map { end(engine, $0) }, ids: ids,
            timings: timings, slot: slot.index)
    }

    private func note(_ token: Token?, at now: ContinuousClock.Instant) {
        if timings.tokens == 0 {
            timings.promptSeconds = (now - began) / .seconds(1)
        } else {
            timings.tokenSeconds = (now - began) / .seconds(1) - timings.promptSeconds
        }
        timings.tokens = state.generated
        if let token, queued.request.reportsTokens { ids.append(token) }
    }

    private func view(_ engine: Engine, isLast: Bool) -> CacheView? {
        guard let interval = queued.request.viewInterval else { return nil }
        guard isLast || interval <= 1 || generated % interval == 1 else { return nil }
        return CacheView(engine, prompt: contextTokens + prompt.count, full: full)
    }

    private func end(_ engine: Engine, _ reason: Generation.FinishReason) -> ServingPiece.End {
        let statistics = engine.statistics
        return ServingPiece.End(
            reason: reason, promptTokens: contextTokens + prompt.count, cachedTokens: cachedTokens, tokens: generated,
            pinned: statistics.pinned, policy: statistics.policy, slotsUsed: statistics.used,
            evicted: statistics.evicted,
            cacheBytes: statistics.allocatedBytes, fullCacheBytes: full.bytes(of: engine.seen),
            calibratedLength: engine.calibratedLength, stop: state.stop, slot: slot.index, timings: timings,
            context: queued.request.context)
    }
}
