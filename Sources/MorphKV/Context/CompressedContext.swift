internal import Foundation
internal import Ggml
internal import Synchronization

/// A text that a model has read once, to ask any number of questions about it.
///
/// A context is a value: it never changes while questions are answered, any number of them may run at the same time, and
/// a copy shares its memory. A question's own entries live beside it and are dropped with the answer.
///
/// ```swift
/// var context = try await session.prefill(document)
/// try context.compress(.kvzip(ratio: 0.3))
/// try context.save(to: url)                      // and CompressedContext(contentsOf: url, model: model)
/// let a = try await context.ask("What is my name?")
/// let b = try await context.ask("And where?", keepingAnswer: true)
/// ```
///
/// Source of the method: Kim et al., "KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction", NeurIPS
/// 2025, arXiv 2505.23416.
public struct CompressedContext: Sendable {
    /// The model that read the text.
    public let model: Model
    /// Everything that was read, and questions and answers that were kept.
    public private(set) var tokens: [Token]
    /// How many of the first tokens are never cut: what came before the text.
    public let systemTokens: Int
    /// Whether nothing was cut yet.
    public private(set) var isWhole: Bool
    private(set) var cache: FrozenCache
    /// What computes attention while questions are answered and the text is repeated. Files do not say it.
    public var attention: CacheOptions.AttentionPath
    /// The most bytes that the cache and the intermediate results took while the text was read; 0 if it came from a file.
    package private(set) var readingBytes = 0
    /// Found when they are first needed; copies of the context share them.
    private(set) var scores: SharedScores

    init(
        model: Model, tokens: [Token], systemTokens: Int, isWhole: Bool, cache: FrozenCache, scores: [KnownScores],
        attention: CacheOptions.AttentionPath = .automatic
    ) {
        self.model = model
        self.attention = attention
        self.tokens = tokens
        self.systemTokens = systemTokens
        self.isWhole = isWhole
        self.cache = cache
        self.scores = SharedScores(scores)
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - document: what questions will be about.
    ///   - system: what comes before it and is never cut, such as a system prompt.
    ///   - model: what reads it.
    ///   - options: how keys and values are stored, in which parts the text enters, and what stays: what the policy holds
    ///     after this prompt. To policies that cut by attention, such as ``SnapKVPolicy``, `system` is a part of it.
    ///   - source: by what the context will be cut: scores of the model's calibration are found while the text is read,
    ///     and take 4 bytes for each entry and KV head; those that repeat the text, when they are first needed.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: ``GenerationError`` of kind `noTokenizer`, ``CacheError``, or `GgmlError` when memory is short.
    public init(
        reading document: String, after system: String = "", model: Model, options: CacheOptions = .full,
        scoredBy source: Compression.Source? = nil, threads: Int? = nil
    ) throws {
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer; give it token ids")
        }
        let before = tokenizer.encode(system, addSpecial: true, parseSpecial: true)
        try self.init(
            reading: tokenizer.encode(document, addSpecial: false), after: before, model: model, options: options,
            scoredBy: source, threads: threads)
    }

    /// Reads token ids, as the other initialiser reads a text.
    ///
    /// - Throws: ``CacheError`` for ids outside the vocabulary, an empty text, or scores of a calibration that is not there;
    ///   `GgmlError` when memory is short.
    public init(
        reading document: [Token], after system: [Token] = [], model: Model, options: CacheOptions = .full,
        scoredBy source: Compression.Source? = nil, threads: Int? = nil
    ) throws {
        try self.init(
            reading: document, after: system, model: model, options: options, scoredBy: source,
            on: Backend(model.placement, threads: Self.threads(threads)))
        if let compression = options.policy.compression { try compress(compression, threads: threads) }
    }

    /// Reads token ids on a backend of the caller's; a policy's compression is left to the caller.
    init(
        reading document: [Token], after system: [Token], model: Model, options: CacheOptions,
        scoredBy source: Compression.Source?, on backend: Backend
    ) throws {
        let tokens = system + document
        let compression = options.policy.compression
        // A compression is left to `compress`, so that its scores are not lost.
        let engine = try Engine(
            model, compression == nil ? options : options.with(FullPolicy()),
            in: EngineWorkspace(model, on: backend))
        // A rule that wants features of its own leaves no room for others.
        let wanted = engine.cache.featureSources.isEmpty ? source ?? compression?.source : nil
        let foresight = try engine.foresight(of: tokens.count, for: wanted)
        try engine.prefill(tokens, foresight: foresight)
        let bytes = engine.statistics.allocatedBytes + engine.computeBytes
        let cache = try engine.cache.freeze()
        let systemTokens = max(system.count, min(options.policy.protectedTokens, tokens.count))
        let isWhole = cache.isWhole(model.description)
        let scores = isWhole ? foresight?.scores(after: systemTokens) : nil
        self.init(
            model: model, tokens: tokens, systemTokens: systemTokens, isWhole: isWhole, cache: cache,
            scores: scores.map { [KnownScores(origin: .calibration, scores: $0)] } ?? [],
            attention: options.attention)
        readingBytes = bytes
    }

    static func threads(_ given: Int?) -> Int { given ?? Processors.usable }

    // MARK: Going on from it

    /// Whether the kernel attends to it, or graphs do.
    var isFused: Bool { options(FullPolicy()).isFused(on: model.placement) }

    /// A cache that stores keys and values as the context does.
    func options(_ policy: any CachePolicy, pins: Bool = false) -> CacheOptions {
        let layout = cache.layers[0].layout
        return CacheOptions(
            policy: policy, elementType: layout.keyType, valueType: layout.valueType, attention: attention, pins: pins)
    }

    /// An engine whose sequence goes on from the context.
    ///
    /// - Throws: ``CacheError`` when the policy cannot be honoured, `GgmlError` when memory is short.
    func engine(
        _ policy: any CachePolicy = FullPolicy(), pins: Bool = false, threads: Int?, reserve: Int = 0
    ) throws -> Engine {
        try Engine(
            model, options(policy, pins: pins), threads: Self.threads(threads), reserve: reserve, context: cache)
    }

    // MARK: Making it smaller

    /// Keeps only what is left of the context after a cut.
    mutating func cut(to smaller: FrozenCache, knowing known: [KnownScores]) {
        cache = smaller
        isWhole = false
        scores = SharedScores(known)
    }

    /// The context and what a sequence that went on from it holds besides.
    func extended(by more: [Token], cache: FrozenCache) -> CompressedContext {
        // What streaming heads no longer see is dropped, so that scores would no longer fit.
        let known = cache.streaming == nil ? scores.all : []
        return CompressedContext(
            model: model, tokens: tokens + more, systemTokens: systemTokens, isWhole: false, cache: cache,
            scores: known.map { $0.extended(to: cache, by: more.count, system: systemTokens) },
            attention: attention)
    }
}
