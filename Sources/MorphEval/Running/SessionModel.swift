public import MorphKV

/// A GGUF model that answers through this package's own engine, with any policy.
public struct SessionModel: AnsweringModel {
    private let model: Model
    private let tokenizer: Tokenizer
    private let cache: CacheOptions
    private let sampling: SamplingOptions
    private let threads: Int?
    private let budget: SampleBudget?

    /// Takes a model.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - cache: What a cache keeps, and how; the policy in it does not matter where there is a budget.
    ///   - budget: The bytes that the cache of a sample may take; `nil` if its policy states the capacity.
    ///   - sampling: How tokens are chosen; the seed is that of each sample.
    ///   - threads: Threads to compute on; `nil` for all cores.
    /// - Throws: ``EvaluationError`` of kind `model` if it has no tokenizer.
    public init(
        _ model: Model, cache: CacheOptions, budget: SampleBudget? = nil, sampling: SamplingOptions = .init(),
        threads: Int?
    ) throws {
        guard let tokenizer = model.tokenizer else {
            throw EvaluationError(.model, file: model.url, "the model has no tokenizer, and benchmarks are text")
        }
        self.model = model
        self.tokenizer = tokenizer
        self.cache = cache
        self.budget = budget
        self.sampling = sampling
        self.threads = threads
    }

    /// The number of tokens that the model was trained to read.
    public var contextLength: Int { model.description.contextLength }

    /// The model's tokenizer, without special tokens.
    public var codec: TokenCodec {
        TokenCodec(
            encode: { [tokenizer] in tokenizer.encode($0, addSpecial: false) },
            decode: { [tokenizer] in tokenizer.decode($0) })
    }

    /// The tokens of a text that may name special tokens.
    public func tokens(of text: String, isBeginning: Bool) throws -> [Int32] {
        tokenizer.encode(text, addSpecial: isBeginning, parseSpecial: true)
    }

    /// What the model's own chat template puts before and after a message of the user.
    ///
    /// - Throws: ``EvaluationError`` of kind `model` if it has no template that can be used.
    public func chatFrame(system: String?) throws -> ChatFrame {
        let mark = "⟦message⟧"
        let opening = system.map { [Tokenizer.Message(role: "system", content: $0)] } ?? []
        do {
            let parts = try tokenizer.chatParts(opening + [.init(role: "user", content: mark)], around: mark)
            return ChatFrame(head: parts[0], tail: parts[1])
        } catch let error as ModelError where error.kind == .chatTemplate {
            throw EvaluationError(.model, file: model.url, "its chat template cannot be used; leave it out (--raw)")
        }
    }

    /// Answers each question after the context.
    ///
    /// The context is read and cut once where the policy allows it, and else anew for each question.
    public func answer(
        _ request: EvaluationRequest, progress: @escaping @Sendable (Int) -> Void
    ) async throws -> EvaluationAnswer {
        var answer = EvaluationAnswer()
        answer.promptWasCut = request.promptWasCut
        answer.promptTokens = request.questions.reduce(request.system.count + request.context.count) { $0 + $1.count }
        var cache = cache
        if let sized = try budget?.cache(model, cache, for: request) {
            cache = sized.options
            (answer.budgetBytes, answer.capacity) = (sized.bytes, sized.entries)
        }
        answer.sharedBytes = try CachePlan(model, cache, tokens: 1).sharedBytes
        if try !request.context.isEmpty && CompressedContext.canHold(cache, of: model) {
            try await askAboutContext(request, cache, into: &answer, progress)
        } else {
            try await readAndAsk(request, cache, into: &answer, progress)
        }
        // A generation ends early when its task is cancelled; what it wrote is no answer then.
        try Task.checkCancellation()
        return answer
    }

    /// Reads and cuts the context once; every question goes on from it and leaves it as it is.
    private func askAboutContext(
        _ request: EvaluationRequest, _ cache: CacheOptions, into answer: inout EvaluationAnswer,
        _ progress: @Sendable (Int) -> Void
    ) async throws {
        let start = ContinuousClock.now
        let context = try await Session(model, cache: cache, threads: threads)
            .prefill(tokens: request.context, after: request.system, keptBy: cache.policy)
        try Task.checkCancellation()
        answer.contextReads = 1
        answer.prefillSeconds = (ContinuousClock.now - start) / .seconds(1)
        answer.peakBytes = context.readingBytes
        for question in request.questions {
            try await ask(
                Session(context, threads: threads), question, request, holding: context.statistics.allocatedBytes,
                since: .now, into: &answer, progress)
        }
    }

    /// Reads everything anew for each question, which a policy of constant size changes what it holds of the context by.
    private func readAndAsk(
        _ request: EvaluationRequest, _ cache: CacheOptions, into answer: inout EvaluationAnswer,
        _ progress: @Sendable (Int) -> Void
    ) async throws {
        let session = try Session(model, cache: cache, threads: threads)
        let before = request.system + request.context
        for (index, question) in request.questions.enumerated() {
            if index > 0 { try await session.reset() }
            let start = ContinuousClock.now
            if !before.isEmpty {
                for try await _ in session.generate(tokens: before, options: .init(maxTokens: 0)) {}
                answer.contextReads += 1
            }
            try await ask(session, question, request, holding: 0, since: start, into: &answer, progress)
        }
    }

    private func ask(
        _ session: Session, _ question: [Token], _ request: EvaluationRequest, holding contextBytes: Int,
        since start: ContinuousClock.Instant, into answer: inout EvaluationAnswer, _ progress: @Sendable (Int) -> Void
    ) async throws {
        var options = GenerationOptions(maxTokens: request.maximumNewTokens, sampling: sampling)
        options.sampling.seed = request.seed
        let before = answer.parts.reduce(0) { $0 + $1.tokens }
        var part = EvaluationAnswer.Part()
        var firstToken: ContinuousClock.Instant?
        for try await piece in session.generate(tokens: question, options: options) {
            if firstToken == nil {
                firstToken = .now
                let bytes = await session.statistics.allocatedBytes
                answer.promptCacheBytes = max(answer.promptCacheBytes, contextBytes + bytes)
            }
            part.text += piece.text
            if piece.token != nil { part.tokens += 1 }
            if let finish = piece.finish { part.finish = finish.rawValue }
            progress(before + part.tokens)
            // The session is not used again: questions that end with a line have no context that is read anew.
            if request.endsAfterLine, part.text.drop(while: \.isNewline).contains(where: \.isNewline) { break }
        }
        answer.parts.append(part)
        let read = request.system.count + request.context.count + question.count
        answer.sequenceTokens = max(answer.sequenceTokens, read + part.tokens)
        answer.prefillSeconds += ((firstToken ?? .now) - start) / .seconds(1)
        answer.decodeSeconds += firstToken.map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0
        let cacheBytes = contextBytes + (await session.statistics.allocatedBytes)
        answer.cacheBytes = max(answer.cacheBytes, cacheBytes)
        answer.peakBytes = max(answer.peakBytes, cacheBytes + (await session.computeBytes))
    }
}
