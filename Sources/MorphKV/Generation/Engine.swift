internal import Ggml

/// What engines can share that one thread runs: the device and the memory of intermediate results.
package final class EngineWorkspace {
    fileprivate let backend: Backend
    let prefillAllocator: GraphAllocator
    fileprivate let runner: ModelRunner
    fileprivate let mover: KeyMover

    /// - Parameter threads: CPU threads.
    /// - Throws: `GgmlError` when the device cannot be opened.
    package convenience init(_ model: Model, threads: Int) throws {
        try self.init(model, on: Backend(model.placement, threads: threads))
    }

    /// - Parameter backend: nobody else computes on it meanwhile.
    init(_ model: Model, on backend: Backend) throws {
        self.backend = backend
        prefillAllocator = try GraphAllocator(on: backend)
        runner = ModelRunner(model, on: backend)
        mover = KeyMover(model, on: backend, allocator: prefillAllocator)
    }

    /// Bytes of intermediate results held on the device.
    package var bytes: Int { prefillAllocator.allocatedBytes + runner.allocatedBytes }
}

/// One sequence on one device: token ids in, logits out.
///
/// Not Sendable: one place at a time feeds it. ``Session`` is the way to use it from concurrent code.
package final class Engine {
    package let model: Model
    let backend: Backend
    let cache: KVCache
    let workspace: EngineWorkspace
    var prefillAllocator: GraphAllocator { workspace.prefillAllocator }
    let reader: EmbeddingReader
    var mover: KeyMover { workspace.mover }
    var runner: ModelRunner { workspace.runner }
    /// The logits after the last token fed, one per token id.
    package internal(set) var logits: [Float]

    /// - Parameters:
    ///   - threads: CPU threads.
    ///   - reserve: tokens that a growing cache has room for at once.
    /// - Throws: ``CacheError`` when the policy cannot be honoured, `GgmlError` when memory is short.
    package convenience init(_ model: Model, _ options: CacheOptions, threads: Int, reserve: Int = 0) throws {
        try self.init(model, options, in: EngineWorkspace(model, threads: threads), reserve: reserve)
    }

    /// - Parameter context: what the sequence goes on from.
    convenience init(
        _ model: Model, _ options: CacheOptions, threads: Int, reserve: Int = 0, context: FrozenCache?
    ) throws {
        try self.init(
            model, options, in: EngineWorkspace(model, threads: threads), reserve: reserve, context: context)
    }

    /// - Parameters:
    ///   - workspace: shared with engines that never compute at the same time.
    ///   - reserve: tokens that a growing cache has room for at once.
    /// - Throws: ``CacheError`` when the policy cannot be honoured, `GgmlError` when memory is short.
    package convenience init(
        _ model: Model, _ options: CacheOptions, in workspace: EngineWorkspace, reserve: Int = 0
    ) throws {
        try self.init(model, options, in: workspace, reserve: reserve, context: nil)
    }

    /// - Parameter context: what the sequence goes on from.
    init(
        _ model: Model, _ options: CacheOptions, in workspace: EngineWorkspace, reserve: Int, context: FrozenCache?
    ) throws {
        self.model = model
        self.workspace = workspace
        backend = workspace.backend
        let options = try options.prepared(for: model)
        cache = try KVCache(model.description, options, on: backend, reserve: reserve, context: context)
        for part in cache.parts.joined() { try part.plan.scoring?.accumulation.formula.prepare(for: model) }
        reader = EmbeddingReader(model)
        try workspace.runner.prepare(for: cache)
        logits = Array(repeating: 0, count: model.description.vocabularySize)
    }

    /// Whether a token was fed, so that ``logits`` are those after it.
    var hasLogits: Bool { cache.seen > contextTokens }
    /// Tokens of what the sequence goes on from.
    var contextTokens: Int { cache.context?.tokens ?? 0 }
    /// What the policy says of its ``CachePolicy/calibratedLength``.
    var calibratedLength: Int? { cache.options.policy.calibratedLength }
    /// Tokens of the sequence so far.
    package var seen: Int { cache.seen }
    package var statistics: CacheStatistics { cache.statistics }
    /// Entries per KV head at present; the largest layer's.
    package var slotsUsed: Int { cache.used }
    /// Tokens that a KV head no longer holds, those of a context left out; the largest number of any layer.
    var evicted: Int { cache.evicted }
    /// Bytes of intermediate results held on the device.
    package var computeBytes: Int { workspace.bytes + (cache.attachment?.allocatedBytes ?? 0) }
    /// Operations of a step where a graph attends and the sequence was fed by itself, views left out; else 0.
    package var stepOperations: Int { cache.attachment?.operationCount ?? 0 }
    /// The lowest position that keys were moved to; 0 before the first move.
    package var positionFloor: Int { cache.frame.floor }
    /// Original positions held, ascending: `[layer][kvHead][entry]`.
    package var positions: [[[Int]]] { cache.positions }

    /// Under a rule whose score is the last query's weights: these weights by position, `[layer][kvHead]`.
    package var lastWeights: [[[Int: Float]]] {
        cache.layers.map { layer in
            guard let scores = layer.scores else { return [] }
            let table = scores.state.table(scores.entries(), seen: seen, origin: layer.origin)
            return zip(table.positions, table[0]).map { Dictionary(uniqueKeysWithValues: zip($0, $1)) }
        }
    }

    /// Forgets the sequence; the memory stays.
    package func clear() { cache.clear() }

    /// Feeds a prompt on top of what the cache holds, as ``CacheOptions/prefill`` says; then the policy selects.
    ///
    /// - Parameters:
    ///   - continuesFirstPrompt: whether the tokens are a further part of the sequence's first prompt, for rules that
    ///     choose once.
    ///   - wantsAllLogits: whether to return the logits of every token, `vocabulary` values each.
    ///   - foresight: collects what a calibration foresees for the tokens, which are the sequence's first and whole prompt.
    /// - Returns: all logits if wanted, else nothing; ``logits`` has those of the last token.
    /// - Throws: ``CacheError`` for an empty prompt or an id outside the vocabulary, the sequence being as before;
    ///   `GgmlError` when the device fails, which empties the cache if it happens half-way.
    @discardableResult
    package func prefill(
        _ tokens: [Token], continuesFirstPrompt: Bool = false, wantsAllLogits: Bool = false,
        foresight: TextForesight? = nil
    ) throws -> [Float] {
        guard !tokens.isEmpty else { throw CacheError(.emptyPrompt, "there is no token to process") }
        for token in tokens { try model.check(token) }
        let isFirst = !hasLogits || continuesFirstPrompt
        if cache.hasFrozenEntries || cache.hasParts && cache.seen > 0 {
            if isFirst { cache.extendPrompt(by: tokens.count) }
            return try feed(tokens, wantsAllLogits: wantsAllLogits)
        }
        let compression = isFirst ? cache.options.policy.compression : nil
        let foresight = try foresight ?? self.foresight(of: tokens.count, for: compression?.source)
        var all: [Float] = []
        for part in parts(of: tokens) {
            // What is fed makes room by itself.
            if !cache.hasPlaces { try makeRoom(for: part.count) }
            if cache.hasParts && cache.seen > 0 || cache.hasPlaces {
                if isFirst { cache.extendPrompt(by: part.count) }
                all += try feed(Array(part), wantsAllLogits: wantsAllLogits)
            } else {
                let new = try prefill(part, isFirstPrompt: isFirst, wantsAllLogits: wantsAllLogits, foresight)
                logits.replaceSubrange(0..., with: new.suffix(logits.count))
                if wantsAllLogits { all += new }
            }
        }
        if let compression {
            do {
                try compress(tokens, compression, foresight)
            } catch {
                cache.clear()
                throw error
            }
        }
        return all
    }

    /// The parts, of nearly the same length, in which a prompt enters the cache.
    func parts(of tokens: [Token]) -> [ArraySlice<Token>] {
        var size = tokens.count
        if case .chunked(let part) = cache.options.prefill { size = min(size, part) }
        if let floor = cache.floor, cache.seen + tokens.count - cache.frame.floor > model.description.contextLength {
            size = min(size, floor.largestPart)
        }
        let count = (tokens.count + size - 1) / size
        return (0..<count).map { tokens[$0 * tokens.count / count..<($0 + 1) * tokens.count / count] }
    }

    private func prefill(
        _ tokens: ArraySlice<Token>, isFirstPrompt: Bool, wantsAllLogits: Bool, _ foresight: TextForesight?
    ) throws -> [Float] {
        try cache.grow(by: tokens.count, isFirstPrompt: isFirstPrompt)
        if isFirstPrompt { cache.extendPrompt(by: tokens.count) }
        let stream = try reader.stream(of: tokens, on: backend)
        let prefill = Prefill(
            model: model, cache: cache, backend: backend, allocator: prefillAllocator, isFirstPrompt: isFirstPrompt,
            foresight: foresight)
        do {
            return try prefill.run(stream, wantsAllLogits: wantsAllLogits)
        } catch {
            cache.clear()
            throw error
        }
    }

    /// Feeds one token; in the steady state no memory stays behind.
    ///
    /// - Throws: ``CacheError`` for an id outside the vocabulary, `GgmlError` when memory is short.
    package func decode(_ token: Token) throws {
        try prepareToDecode(token)
        try feed(token)
    }

    /// Feeds a token for which there is room.
    func feed(_ token: Token) throws { try runner.step(token, cache, into: &logits) }

    /// Checks a token and makes room for it.
    func prepareToDecode(_ token: Token) throws {
        try model.check(token)
        cache.evictBursts()
        try cache.grow(by: 1)
        try makeRoom(for: 1)
    }

    /// Keeps positions close together, if they are, before tokens enter.
    func makeRoom(for tokens: Int) throws {
        guard cache.seen + tokens <= KVCache.longestSequence else {
            throw CacheError(
                .positions,
                "a sequence has \(KVCache.longestSequence) tokens at most: its positions are counted in 32-bit floats")
        }
        try mover.makeRoom(for: tokens, in: cache)
    }

    /// Makes the cache look as full as it can get, so that the next step needs as much memory as any.
    ///
    /// - Parameter chunk: tokens of a prompt that is then fed, the longest that ever will be at a time; 0 for none.
    package func warmUp(chunk: Int) throws {
        clear()
        cache.pretendFull(leaving: chunk + 1)
        if chunk > 0 { try prefill(Array(repeating: 0, count: chunk)) }
        let next = cache.frame.floor + 1
        if cache.floor != nil { try mover.move(cache, to: RotaryFrame(floor: next, base: next)) }
        if chunk > 0, cache.hasPlaces { try prefill(Array(repeating: 0, count: Self.feedSizes.reduce(0, +))) }
    }
}
