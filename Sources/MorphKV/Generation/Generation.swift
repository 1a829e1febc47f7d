/// The pieces of a text as the model writes it.
public struct Generation: AsyncSequence, Sendable {
    /// What one step gave.
    public struct Piece: Sendable, Hashable {
        /// Text that is certain by now, valid UTF-8; empty while a character or a possible stop string is unfinished.
        public let text: String
        /// The token; nil for what was held back until the end.
        public let token: Token?
        /// Entries per KV head at present; the largest layer's.
        public let slotsUsed: Int
        /// Tokens that a KV head no longer holds; the largest number of any layer.
        public let evicted: Int
        /// Why this is the last piece; nil if it is not.
        public let finish: FinishReason?
    }

    /// Why a generation ended.
    public enum FinishReason: String, Sendable, Hashable, Codable {
        /// The model ended its text, or a stop string appeared.
        case stop
        /// ``GenerationOptions/maxTokens`` was reached.
        case length
    }

    enum Prompt: Sendable {
        case text(String)
        case tokens([Token])
    }

    let session: Session
    let prompt: Prompt
    let options: GenerationOptions

    /// Starts a run when its first piece is asked for.
    public func makeAsyncIterator() -> Iterator { Iterator(generation: self) }

    /// Asks the session for one piece after the other.
    public struct Iterator: AsyncIteratorProtocol {
        private let generation: Generation
        private var run: RunHandle?

        init(generation: Generation) { self.generation = generation }

        /// The next piece; nil at the end or when the task was cancelled.
        ///
        /// - Throws: ``GenerationError``, ``CacheError`` or `GgmlError`.
        public mutating func next() async throws -> Piece? {
            if run == nil {
                let id = try await generation.session.start(generation.prompt, generation.options)
                run = RunHandle(session: generation.session, id: id)
            }
            return try await generation.session.next(of: run!.id)
        }
    }
}

/// Gives the session free when the loop over a generation is left early.
private final class RunHandle: Sendable {
    let session: Session
    let id: Int

    init(session: Session, id: Int) {
        self.session = session
        self.id = id
    }

    deinit {
        let (session, id) = (session, id)
        Task { await session.end(id) }
    }
}

/// The state of one generation: sampler, text held back, tokens so far.
final class Run {
    private let options: GenerationOptions
    private let tokenizer: Tokenizer?
    private let sampler: Sampler
    private var text: TextStream
    private var generated = 0
    private var isOver = false

    init(tokens: [Token], options: GenerationOptions, model: Model) throws {
        guard options.maxTokens >= 0 else {
            throw GenerationError(.invalidOption, "\(options.maxTokens) tokens at most: 0 or more is needed")
        }
        self.options = options
        tokenizer = model.tokenizer
        sampler = try Sampler(options.sampling, vocabularySize: model.description.vocabularySize)
        text = TextStream(stops: options.stop)
        for token in tokens.suffix(options.sampling.penaltyWindow) { sampler.accept(token) }
    }

    /// - Parameter unfed: the token that was sampled last; feeding it is left to whoever needs what follows it.
    func next(_ engine: Engine, unfed: inout Token?) throws -> Generation.Piece? {
        guard !isOver else { return nil }
        guard generated < options.maxTokens else { return finish(engine, .length, token: nil, text: "") }
        if let token = unfed {
            try engine.decode(token)
            unfed = nil
        }
        let token = try sampler.sample(engine.logits)
        if !options.ignoresEndOfText, tokenizer?.endsGeneration(token) == true {
            return finish(engine, .stop, token: nil, text: "")
        }
        unfed = token
        generated += 1
        let certain = text.append(tokenizer?.bytes(of: token) ?? [])
        if text.isStopped { return finish(engine, .stop, token: token, text: certain) }
        if generated == options.maxTokens { return finish(engine, .length, token: token, text: certain) }
        return piece(engine, certain, token, nil)
    }

    private func finish(
        _ engine: Engine, _ reason: Generation.FinishReason, token: Token?, text certain: String
    ) -> Generation.Piece {
        isOver = true
        return piece(engine, certain + text.finish(), token, reason)
    }

    private func piece(
        _ engine: Engine, _ text: String, _ token: Token?, _ finish: Generation.FinishReason?
    ) -> Generation.Piece {
        Generation.Piece(
            text: text, token: token, slotsUsed: engine.slotsUsed, evicted: engine.seen - engine.slotsUsed,
            finish: finish)
    }
}
