/// The pieces of a text, each a part of it, as the model writes them.
public struct Generation: AsyncSequence, Sendable {
    /// What one step gave.
    public struct Piece: Sendable, Hashable {
        /// Text that is certain by now, valid UTF-8; empty while a character or a possible stop string is unfinished.
        public let text: String
        /// The token; nil for what was held back until the end.
        public let token: Token?
        /// Entries per KV head at present; the largest layer's.
        public let slotsUsed: Int
        /// Tokens that a KV head no longer holds, those of a context left out; the largest number of any layer.
        public let evicted: Int
        /// Why this is the last piece; nil if it is not.
        public let finish: FinishReason?

        init(_ step: GenerationState.Step, _ engine: Engine) {
            text = step.text
            token = step.token
            slotsUsed = engine.slotsUsed
            evicted = engine.evicted
            finish = step.finish
        }
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
    let pins: PromptPins

    /// Starts the generation when its first piece is asked for.
    public func makeAsyncIterator() -> Iterator { Iterator(generation: self) }

    /// Asks the session for one piece after the other.
    public struct Iterator: AsyncIteratorProtocol {
        private let generation: Generation
        private var handle: GenerationHandle?

        init(generation: Generation) { self.generation = generation }

        /// The next piece; nil at the end or when the task was cancelled.
        ///
        /// - Throws: ``GenerationError``, ``CacheError`` or `GgmlError`.
        public mutating func next() async throws -> Piece? {
            if handle == nil {
                let id = try await generation.session.start(generation.prompt, generation.options, generation.pins)
                handle = GenerationHandle(session: generation.session, id: id)
            }
            return try await generation.session.next(of: handle!.id)
        }
    }
}

/// Gives the session free when the loop over a generation is left early.
private final class GenerationHandle: Sendable {
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
