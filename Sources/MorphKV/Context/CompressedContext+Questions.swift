extension CompressedContext {
    /// Answers a question; the context stays as it is, and any number of questions may run at the same time.
    ///
    /// - Parameters:
    ///   - question: what follows the text, as the model is to read it.
    ///   - options: how long and how to answer.
    ///   - policy: what the cache of the question and its answer keeps; everything by default.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Returns: the answer.
    /// - Throws: ``CacheError``, ``GenerationError`` or `GgmlError`.
    public func ask(
        _ question: String, options: GenerationOptions = .init(), policy: any CachePolicy = FullPolicy(),
        threads: Int? = nil
    ) async throws -> String {
        let session = try Session(self, policy: policy, threads: threads)
        return try await Self.answer(session.generate(question, options: options)).text
    }

    /// Answers a question and, if wanted, keeps question and answer as part of the context.
    ///
    /// Keeping them copies the context's entries once.
    ///
    /// - Returns: the answer.
    /// - Throws: as the other `ask`; the context is then as before.
    public mutating func ask(
        _ question: String, keepingAnswer: Bool, options: GenerationOptions = .init(),
        policy: any CachePolicy = FullPolicy(), threads: Int? = nil
    ) async throws -> String {
        let session = try Session(self, policy: policy, threads: threads)
        let answer = try await Self.answer(session.generate(question, options: options))
        if keepingAnswer { self = try await session.extend(self, question: question, answer: answer.tokens) }
        return answer.text
    }

    private static func answer(_ generation: Generation) async throws -> (text: String, tokens: [Token]) {
        var result = (text: "", tokens: [Token]())
        for try await piece in generation {
            result.text += piece.text
            if let token = piece.token { result.tokens.append(token) }
        }
        try Task.checkCancellation()
        return result
    }
}

extension Session {
    /// Goes on from a context, whose entries are shared and not copied.
    ///
    /// - Parameters:
    ///   - context: what was read before.
    ///   - policy: what stays of what follows; everything by default. With a policy of constant size the sequence never
    ///     grows from here on.
    ///   - pins: whether tokens of what follows may be pinned; see ``CacheOptions/pins``.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - reserve: tokens that a growing cache has room for at once.
    /// - Throws: ``CacheError`` when the policy cannot be honoured, `GgmlError` when memory is short.
    public init(
        _ context: CompressedContext, policy: any CachePolicy = FullPolicy(), pins: Bool = false, threads: Int? = nil,
        reserve: Int = 0
    ) throws {
        try self.init(engine: context.engine(policy, pins: pins, threads: threads, reserve: reserve))
    }

    /// Reads a text once, to ask any number of questions about it; the session's own sequence plays no part.
    ///
    /// - Parameters:
    ///   - document: what questions will be about.
    ///   - system: what comes before it and is never cut.
    ///   - policy: what stays of the text; everything by default, whatever the session's own policy is.
    ///   - source: by what the context will be cut; see ``CompressedContext``.
    /// - Throws: ``GenerationError`` of kind `noTokenizer`, ``CacheError``, or `GgmlError` when memory is short.
    public func prefill(
        _ document: String, after system: String = "", keptBy policy: any CachePolicy = FullPolicy(),
        scoredBy source: Compression.Source? = nil
    ) throws -> CompressedContext {
        try CompressedContext(
            reading: document, after: system, model: model, options: engine.cache.options.with(policy),
            scoredBy: source, threads: threads)
    }

    /// Reads token ids once, to ask any number of questions about them.
    ///
    /// - Throws: ``CacheError`` for ids outside the vocabulary or an empty text, `GgmlError` when memory is short.
    public func prefill(
        tokens document: [Token], after system: [Token] = [], keptBy policy: any CachePolicy = FullPolicy(),
        scoredBy source: Compression.Source? = nil
    ) throws -> CompressedContext {
        try CompressedContext(
            reading: document, after: system, model: model, options: engine.cache.options.with(policy),
            scoredBy: source, threads: threads)
    }

    /// What the session holds, as a context: what it went on from, a question and its answer.
    func extend(_ context: CompressedContext, question: String, answer: [Token]) throws -> CompressedContext {
        let asked = try encode(.text(question), isStart: false)
        try feedPending()
        return context.extended(by: asked + answer, cache: try engine.frozenCopy())
    }
}
