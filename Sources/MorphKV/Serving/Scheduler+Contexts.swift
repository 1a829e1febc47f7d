/// Texts that are compressed while requests are answered.
extension Scheduler {
    /// All contexts by name, those that are still made included.
    public var servedContexts: [ServedContext] { contexts.all }

    /// The context of a name; nil if there is none.
    public func servedContext(_ name: String) -> ServedContext? { contexts.report(name) }

    /// What contexts take at present.
    public var contextFigures: ContextFigures { contexts.figures }

    /// Tokens that a text can have to be compressed here; 0 if ``ServingOptions/contextFolder`` is nil.
    public var contextTokens: Int {
        options.contextFolder.map { min($0.tokens, model.description.contextLength) } ?? 0
    }

    /// Compresses a text between the steps of running answers, which wait for no more than a part of a prompt, and keeps it
    /// in the folder.
    ///
    /// - Returns: what is known of it at once.
    /// - Throws: ``ServingError`` if the text is too long, the context might not fit, the name is taken, or too many wait;
    ///   ``CacheError`` if the compression makes no sense.
    public func compress(_ text: ContextText) throws -> ServedContext { try contexts.add(text) }

    /// Ends a compression, or lets a context go: no request can name it any more, its file is removed, and its memory goes
    /// when the last answer that uses it ends.
    ///
    /// - Throws: ``ServingError`` if there is none, or it was given at the start.
    public func deleteContext(_ name: String) throws { try contexts.delete(name) }

    /// The context whose text a message begins with, before an empty line.
    ///
    /// - Parameters:
    ///   - message: a text.
    ///   - before: the tokens that the model sees before it; nil if there is no telling.
    /// - Returns: the context's name and what follows the empty line; nil if there is none. What is compared are the
    ///   context's own tokens.
    public func context(in message: String, after before: () -> [Token]?) -> (name: String, rest: String)? {
        contexts.found(in: message, after: before)
    }

    /// Does what needs contexts in memory, and brings those that are on disk only.
    ///
    /// - Throws: what the body throws, and ``ServingError`` of kind `contextsInUse` when there is no room for a context.
    public func loadingContexts<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        // As long as the body works, what was brought stays.
        var uses: [ContextUse] = []
        defer { for use in uses { use.release() } }
        while true {
            do {
                return try await body()
            } catch let error as ServingError where error.kind == .contextNotLoaded && uses.count < 8 {
                uses.append(try await contexts.bring(error.context!))
            }
        }
    }
}
