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
/// 2025, arXiv 2505.23416. Contexts work on the CPU.
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
    /// The most bytes that the cache and the intermediate results took while the text was read; 0 if it came from a file.
    package private(set) var readingBytes = 0
    /// Found when they are first needed; copies of the context share them.
    private var scores: SharedScores

    init(
        model: Model, tokens: [Token], systemTokens: Int, isWhole: Bool, cache: FrozenCache, scores: EntryScores?
    ) {
        self.model = model
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
    ///   - options: how keys and values are stored, in which parts the text enters, and what stays: what the policy holds
    ///     after this prompt. To policies that cut by attention, such as ``SnapKVPolicy``, `system` is a part of it.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: ``GenerationError`` of kind `noTokenizer`, ``CacheError``, or `GgmlError` when memory is short.
    public init(
        reading document: String, after system: String = "", model: Model, options: CacheOptions = .full,
        threads: Int? = nil
    ) throws {
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer; give it token ids")
        }
        let before = tokenizer.encode(system, addSpecial: true, parseSpecial: true)
        try self.init(
            reading: tokenizer.encode(document, addSpecial: false), after: before, model: model, options: options,
            threads: threads)
    }

    /// Reads token ids, as the other initialiser reads a text.
    ///
    /// - Throws: ``CacheError`` for ids outside the vocabulary or an empty text, `GgmlError` when memory is short.
    public init(
        reading document: [Token], after system: [Token] = [], model: Model, options: CacheOptions = .full,
        threads: Int? = nil
    ) throws {
        let tokens = system + document
        let compression = options.policy.compression
        // A compression is left to `compress`, so that its scores are not lost.
        let engine = try Engine(
            model, compression == nil ? options : options.with(FullPolicy()), threads: Self.threads(threads))
        guard engine.cache.isFused else {
            throw CacheError(.attention, "contexts need the fused kernel, on the CPU")
        }
        try engine.prefill(tokens)
        let bytes = engine.statistics.allocatedBytes + engine.computeBytes
        let cache = try engine.cache.freeze()
        self.init(
            model: model, tokens: tokens,
            systemTokens: max(system.count, min(options.policy.protectedTokens, tokens.count)),
            isWhole: cache.isWhole(model.description), cache: cache, scores: nil)
        readingBytes = bytes
        if let compression { try compress(compression, threads: threads) }
    }

    static func threads(_ given: Int?) -> Int { given ?? ProcessInfo.processInfo.activeProcessorCount }

    // MARK: Going on from it

    /// A cache that stores keys and values as the context does.
    func options(_ policy: any CachePolicy) -> CacheOptions {
        let layout = cache.layers[0].layout
        return CacheOptions(policy: policy, elementType: layout.keyType, valueType: layout.valueType)
    }

    /// An engine whose sequence goes on from the context.
    ///
    /// - Throws: ``CacheError`` when the policy cannot be honoured, `GgmlError` when memory is short.
    func engine(_ policy: any CachePolicy = FullPolicy(), threads: Int?, reserve: Int = 0) throws -> Engine {
        try Engine(model, options(policy), threads: Self.threads(threads), reserve: reserve, context: cache)
    }

    // MARK: Making it smaller

    /// Drops entries for good, the least important first; copies of the context keep theirs.
    ///
    /// Scores are found once, which takes about as long as reading the text twice, and kept, so that several budgets can
    /// be tried on copies of a context at no cost.
    ///
    /// - Parameters:
    ///   - threads: CPU threads for the scores; as many as the machine has cores if nil.
    ///   - progress: called after each part of the text with the share done, 0 to 1.
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the compression makes no sense, or scores are needed and
    ///   the context was cut by other means before; `GgmlError` when memory is short.
    public mutating func compress(
        _ compression: Compression, threads: Int? = nil, progress: (Double) -> Void = { _ in }
    ) throws {
        try compression.validate(layerCount: cache.layers.count)
        let compressor = Compressor(model: model, system: systemTokens)
        let known: EntryScores
        switch compression.source {
        case .heads(let heads): known = try compressor.scores(cache, heads)
        case .reconstruction(let prompt): known = try entryScores(prompt, threads: threads, progress: progress)
        }
        let smaller = try compressor.compress(cache, known, compression)
        cache = smaller.cache
        isWhole = false
        if case .heads = compression.source {
            scores = SharedScores(nil)
        } else {
            scores = SharedScores(smaller.scores)
        }
    }

    /// Cuts the context by scores that were found elsewhere, by another method.
    mutating func compress(by scores: EntryScores, ratio: Double, level: Compression.Level) throws {
        cache = try Compressor(model: model, system: systemTokens)
            .compress(cache, scores, Compression(.ratio(ratio), level: level)).cache
        isWhole = false
        self.scores = SharedScores(nil)
    }

    /// How much each KV head matters for repeating this text, to cut any other text by (``Compression/heads(_:ratio:sinks:recent:)``).
    ///
    /// - Throws: as ``compress(_:threads:progress:)``.
    public func headScores(
        _ prompt: ReconstructionPrompt = ReconstructionPrompt(), threads: Int? = nil,
        progress: (Double) -> Void = { _ in }
    ) throws -> HeadScores {
        let scores = try entryScores(prompt, threads: threads, progress: progress)
        return HeadScores(model: model.fingerprint, scores: scores.heads)
    }

    func entryScores(
        _ prompt: ReconstructionPrompt, threads: Int?, progress: (Double) -> Void
    ) throws -> EntryScores {
        if let known = scores.value(for: prompt) { return known }
        guard isWhole else {
            throw CacheError(
                .invalidPolicy,
                "the context was cut without scores, or with scores of another request, which it lacks now")
        }
        let found = try Compressor(model: model, system: systemTokens).scores(
            cache, tokens, prompt, on: Backend(model.device, threads: Self.threads(threads))
        ) { progress(Double($0) / Double($1)) }
        scores.set(found, for: prompt)
        return found
    }

    /// The scores if they are known.
    var knownScores: EntryScores? { scores.value(for: nil) }

    /// The context and what a sequence that went on from it holds besides.
    func extended(by more: [Token], cache: FrozenCache) -> CompressedContext {
        // What streaming heads no longer see is dropped, so that scores would no longer fit.
        let scores =
            cache.streaming == nil ? knownScores?.extended(to: cache, by: more.count, system: systemTokens) : nil
        return CompressedContext(
            model: model, tokens: tokens + more, systemTokens: systemTokens, isWhole: false, cache: cache,
            scores: scores)
    }
}

/// Scores that copies of a context share.
private final class SharedScores: Sendable {
    private struct Known {
        var scores: EntryScores
        /// nil if it is not known, or does not matter any more.
        var prompt: ReconstructionPrompt?
    }

    private let known: Mutex<Known?>

    init(_ scores: EntryScores?) { known = Mutex(scores.map { Known(scores: $0) }) }

    func value(for prompt: ReconstructionPrompt?) -> EntryScores? {
        known.withLock { known in
            guard let known, prompt == nil || known.prompt == nil || known.prompt == prompt else { return nil }
            return known.scores
        }
    }

    func set(_ scores: EntryScores, for prompt: ReconstructionPrompt) {
        known.withLock { $0 = Known(scores: scores, prompt: prompt) }
    }
}

extension EntryScores {
    /// With entries that are not to be cut behind those that have scores.
    fileprivate func extended(to cache: FrozenCache, by more: Int, system: Int) -> EntryScores {
        var result = self
        result.tokens += more
        for (layer, heads) in values.enumerated() {
            guard let heads else { continue }
            result.values[layer] = heads.enumerated().map { head, scores in
                let before = cache.layers[layer].headPositions[head].prefix { $0 < system }.count
                let count = cache.layers[layer].layout.counts[head] - before
                return scores + Array(repeating: .infinity, count: max(0, count - scores.count))
            }
        }
        return result
    }
}
