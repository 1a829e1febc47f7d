internal import Dispatch
internal import Foundation
internal import Ggml

/// One sequence: a cache and the text that runs through it.
///
/// A session computes on its own thread, never on Swift's cooperative pool. Sessions that share a ``Model`` are
/// independent of each other.
///
/// ```swift
/// let model = try Model(contentsOf: url)
/// let session = try Session(model, cache: .morphKV(capacity: 1024, window: 32))
/// for try await piece in session.generate("Once upon a time", options: .init(maxTokens: 4000)) {
///     print(piece.text, terminator: "")
/// }
/// print(await session.statistics)
/// ```
public actor Session {
    /// The model it runs.
    public nonisolated let model: Model
    /// The history that ``save(to:tokens:registry:)`` was given, in a session that was read from a file; else empty.
    public nonisolated let savedTokens: [Token]
    let engine: Engine
    private let executor: ComputeExecutor
    private var current: GenerationState?
    /// The number of the last generation that was started.
    private var last = 0
    /// A token that was sampled but not fed yet.
    private(set) var unfed: Token?
    /// The last tokens of the conversation, as far as penalties look back, and this answer's.
    private var recent: [Token]
    /// Whether an answer is being generated.
    var isGenerating: Bool { current != nil }

    /// The thread on which the session computes.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Allocates a cache for one sequence.
    ///
    /// - Parameters:
    ///   - model: shared with other sessions.
    ///   - cache: what stays when the cache is full; everything by default.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - reserve: tokens that a growing cache has room for at once.
    /// - Throws: ``CacheError`` when the policy cannot be honoured for this model, `GgmlError` when memory is short.
    public init(_ model: Model, cache: CacheOptions = .full, threads: Int? = nil, reserve: Int = 0) throws {
        try self.init(
            engine: Engine(
                model, cache, threads: threads ?? Processors.usable, reserve: reserve))
    }

    /// - Parameter unfed: a token that was sampled but not fed yet.
    init(engine: sending Engine, unfed: Token? = nil, savedTokens: [Token] = []) throws {
        model = engine.model
        self.savedTokens = savedTokens
        recent = savedTokens
        executor = ComputeExecutor()
        self.engine = engine
        self.unfed = unfed
    }

    /// CPU threads.
    var threads: Int { engine.backend.threads }

    /// Feeds the token that was sampled last, if it was not fed yet.
    func feedPending() throws {
        if let token = unfed { try engine.decode(token) }
        unfed = nil
    }

    /// What the cache is like.
    public var cacheOptions: CacheOptions { engine.cache.options }

    /// What the cache holds and costs.
    public var statistics: CacheStatistics { engine.statistics }

    /// The original positions that each KV head holds, ascending: `[layer][kvHead][entry]`.
    public var keptPositions: [[[Int]]] { engine.positions }

    /// How many tokens of the sequence can be pinned, so that every KV head has room for its window, its sinks and one more;
    /// nil if everything stays anyway, 0 if the cache was made without pins or the policy has no room for them.
    public var pinRoom: Int? { engine.cache.pinRoom.tokens }

    /// Bytes of intermediate results, beside the cache and the weights.
    public var computeBytes: Int { engine.computeBytes }

    /// Forgets the sequence; the memory stays.
    ///
    /// - Throws: ``GenerationError`` of kind `busy` while an answer is being generated.
    public func reset() throws {
        guard current == nil else { throw GenerationError(.busy, "the session is generating") }
        engine.clear()
        unfed = nil
        recent = []
    }

    /// Continues a text; on a session that has seen text before, after that.
    ///
    /// Nothing is computed before the first piece is asked for, and nothing ahead of what is asked for. Leaving the
    /// loop or cancelling its task ends the generation; the session can then be used again.
    ///
    /// - Parameters:
    ///   - prompt: what is to be continued.
    ///   - options: how long and how to answer.
    ///   - pin: which of the prompt's tokens are never evicted, as long as the sequence lasts; see ``CacheOptions/pins``.
    ///     More than ``pinRoom`` in all are refused with ``CacheError`` of kind `pins`.
    public nonisolated func generate(
        _ prompt: String, options: GenerationOptions = .init(), pin: PromptPins = .none
    ) -> Generation {
        Generation(session: self, prompt: .text(prompt), options: options, pins: pin)
    }

    /// Continues token ids, for models without a tokenizer or prompts that are already encoded.
    ///
    /// - Parameters:
    ///   - tokens: what is to be continued.
    ///   - options: how long and how to answer.
    ///   - pin: which of the tokens are never evicted.
    public nonisolated func generate(
        tokens: [Token], options: GenerationOptions = .init(), pin: PromptPins = .none
    ) -> Generation {
        Generation(session: self, prompt: .tokens(tokens), options: options, pins: pin)
    }

    // MARK: For Generation

    /// Feeds the prompt and returns the number of the generation.
    func start(_ prompt: Generation.Prompt, _ options: GenerationOptions, _ pins: PromptPins) throws -> Int {
        guard current == nil else {
            throw GenerationError(.busy, "the session is already generating; one sequence continues in one place only")
        }
        let asked = try encode(prompt, isStart: engine.seen == 0 && unfed == nil)
        let tokens = (unfed.map { [$0] } ?? []) + asked
        let pins = try pins.positions(in: asked.count)
        let before = Array((recent + asked).suffix(max(0, options.sampling.penaltyWindow)))
        let state = try GenerationState(prompt: before, options: options, model: model)
        // Continuing without a word needs no new token, only the logits of the last one.
        if !tokens.isEmpty || !engine.hasLogits {
            try engine.prefill(tokens, pinning: pins.shifted(by: tokens.count - asked.count))
        }
        unfed = nil
        recent = before
        last += 1
        current = state
        return last
    }

    func encode(_ prompt: Generation.Prompt, isStart: Bool) throws -> [Token] {
        switch prompt {
        case .tokens(let tokens): return tokens
        case .text(let text):
            guard let tokenizer = model.tokenizer else {
                throw GenerationError(.noTokenizer, "the model has no tokenizer; give it token ids")
            }
            return tokenizer.encode(text, addSpecial: isStart, parseSpecial: true)
        }
    }

    /// The next piece of a generation; nil when it is over.
    func next(of id: Int) throws -> Generation.Piece? {
        guard id == last, let state = current else { return nil }
        guard !Task.isCancelled, !state.isOver else {
            current = nil
            return nil
        }
        do {
            try feedPending()
            let step = try state.next(engine.logits)
            // It is fed when something is to follow it.
            unfed = step.token
            if let token = step.token { recent.append(token) }
            return Generation.Piece(step, engine)
        } catch {
            current = nil
            throw error
        }
    }

    /// Gives the session free when a generation is dropped before its end.
    func end(_ id: Int) {
        if id == last { current = nil }
    }
}

/// Runs an actor's jobs on a thread of its own, so that long computations do not occupy the cooperative pool.
private final class ComputeExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "morphkv.session")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
