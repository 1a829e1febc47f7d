internal import Ggml

/// Runs a prompt through the model layer by layer: the whole prompt attends in full to itself and to what the cache
/// holds, then the policy selects, before the next layer starts.
struct Prefill {
    /// Tokens whose intermediate results exist at a time.
    static let chunk = 512

    let model: Model
    let cache: KVCache
    let backend: Backend
    let allocator: GraphAllocator
    /// Whether this is (a part of) the sequence's first prompt, which rules that choose once look at.
    let isFirstPrompt: Bool
    /// Collects what a calibration foresees, in layers whose rules want no features themselves; nil if nobody asks.
    let foresight: TextForesight?

    /// - Parameters:
    ///   - stream: the scaled embeddings of the prompt on the first layer's device, `[embedding, tokens]`; overwritten.
    ///   - wantsAllLogits: whether to return the logits of every token or of the last one only.
    /// - Returns: logits, `vocabulary` values per token.
    func run(_ stream: Tensor, wantsAllLogits: Bool) throws -> [Float] {
        let tokens = stream[1]
        let held = cache.layers.map(\.used).max() ?? 0
        let scratches = try PrefillScratch.all(
            model.description, cache.options.keyType, cache.options.valueType, entries: held + tokens,
            queries: min(tokens, Self.chunk), isFused: cache.isFused, on: backend)
        let recurrent = try RecurrentRun(
            model, cache.recurrent, isFused: cache.isFused, on: backend, allocator: allocator)
        var logits: [Float] = []
        var shared: [Int: LayerPass] = [:]
        var (stream, place) = (stream, backend)
        for index in cache.parts.indices {
            if backend.at(index) !== place {
                place = backend.at(index)
                stream = try stream.copy(on: place)
            }
            try recurrent.run(stream, before: index)
            scratches[index].begin(model.description.layers[index])
            var pass = LayerPass(self, index: index, scratch: scratches[index], stream: stream)
            logits = try pass.run(wantsAllLogits: wantsAllLogits)
            // What later blocks make of a layer's entries counts for what stays of them.
            if pass.isShared { shared[index] = pass } else { try pass.finish() }
        }
        for index in cache.parts.count..<model.description.attentionBlockCount {
            logits = try shared[model.description.source(of: index)]!.read(by: index, wantsAllLogits: wantsAllLogits)
        }
        for index in shared.keys.sorted() { try shared[index]!.finish() }
        if !model.description.endsWithAttention {
            let wanted = wantsAllLogits ? 0..<tokens : tokens - 1..<tokens
            try recurrent.run(stream, before: cache.parts.count, wanted: wanted)
            logits = try recurrent.logits(stream, of: wanted)
        }
        try backend.check()
        cache.admitPrompt(tokens)
        return logits
    }
}

extension Tensor {
    /// The same in memory of its own on another device.
    func copy(on backend: Backend) throws -> Tensor {
        let arena = try Arena(tensors: 1)
        let copy = arena.tensor(type, shape, name: name)
        try arena.allocate(on: backend)
        copy.write(self)
        return copy
    }
}

/// One layer's share of a prompt.
struct LayerPass {
    let prefill: Prefill
    let index: Int
    let scratch: PrefillScratch
    let stream: Tensor
    /// Of the prompt; the stream may have those of others too.
    let tokens: Int
    /// The layer's caches: one, or one for each kind of head. Then there is nothing from before the prompt.
    let parts: [LayerCache]
    /// The entries from before the prompt, per KV head.
    let old: SlotEntries
    let scorer: PromptScorer
    var table: ScoreTable

    /// - Parameter columns: how many of the stream are the prompt's; all if nil.
    init(_ prefill: Prefill, index: Int, scratch: PrefillScratch, stream: Tensor, columns: Int? = nil) {
        self.prefill = prefill
        self.index = index
        self.scratch = scratch
        self.stream = stream
        let tokens = columns ?? stream[1]
        self.tokens = tokens
        parts = prefill.cache.parts[index]
        let description = prefill.model.description
        let (seen, geometry) = (prefill.cache.seen, description.geometry(of: index))
        old = parts.count == 1 ? parts[0].entries(seen: seen) : Array(repeating: [], count: geometry.kvHeads)
        let oldPositions = old.map { $0.map(\.position) }
        let entries = oldPositions[0].count + tokens
        table = ScoreTable(positions: oldPositions.map { $0 + Array(seen..<seen + tokens) })
        let mask = AttentionMask(
            oldPositions: oldPositions[0].isEmpty ? [] : oldPositions, newPositions: seen..<seen + tokens,
            slidingWindow: geometry.slidingWindow, queryHeads: geometry.queryHeads)
        let prompt = PromptEntries(
            backend: prefill.backend.at(index), allocator: prefill.allocator, geometry: geometry,
            scale: description.attentionScale, tokens: seen..<seen + tokens,
            chunk: Prefill.chunk, keys: { scratch.keys(0..<entries, of: entries, in: $0) })
        scorer = PromptScorer(
            scoring: parts.lazy.compactMap { $0.promptScoring(isFirstPrompt: prefill.isFirstPrompt) }.first,
            prompt: prompt, mask: mask, kernel: scratch.kernel)
    }

    private var seen: Int { prefill.cache.seen }
    private var oldCount: Int { old[0].count }
    private var entries: Int { oldCount + tokens }
    /// Whether later blocks attend to the layer's entries.
    var isShared: Bool { scorer.prompt.geometry.readers > 0 }

    /// - Parameter block: the layer itself, or a block that attends to its entries.
    func layerRun(_ block: Int) -> LayerRun {
        LayerRun(
            model: prefill.model, backend: prefill.backend.at(block), allocator: prefill.allocator, index: block,
            scratch: scratch, stream: stream, mask: scorer.mask, oldCount: oldCount, seen: seen,
            base: prefill.cache.frame.base, features: block == index ? features : nil, tokens: tokens)
    }
    private var formula: (any ScoringFormula)? {
        parts.lazy.compactMap { $0.plan.scoring?.featureSource?.formula }.first
    }
    private var foresight: TextForesight? {
        formula == nil && scorer.prompt.geometry.slidingWindow == nil ? prefill.foresight : nil
    }
    private var features: ((Tensor, Graph) -> Tensor)? {
        let geometry = scorer.prompt.geometry
        if let formula { return { formula.features(of: $0, layer: geometry, in: $1) } }
        return foresight.map { foresight in
            { foresight.calibration.scores(of: $0, layer: geometry.layer, kvHeads: geometry.kvHeads, in: $1) }
        }
    }

    mutating func run(wantsAllLogits: Bool) throws -> [Float] {
        try load()
        return try read(by: index, wantsAllLogits: wantsAllLogits)
    }

    /// Copies what the cache holds to the front of the scratch memory.
    func load() throws {
        if oldCount > 0 { try parts[0].load(old, into: scratch, of: entries, prefill) }
    }

    /// Takes the prompt through the layer, or through a block that attends to the layer's entries.
    mutating func read(by block: Int, wantsAllLogits: Bool) throws -> [Float] {
        let run = layerRun(block)
        var logits: [Float] = []
        for start in stride(from: 0, to: tokens, by: Prefill.chunk) {
            let range = start..<min(start + Prefill.chunk, tokens)
            // After the last layer only the logits matter; before the last token that leaves keys and values.
            let output: Range<Int> =
                !run.isLast || wantsAllLogits ? range : range.upperBound == tokens ? tokens - 1..<tokens : 0..<0
            let keepsQueries = scorer.countedQueries > tokens - range.upperBound
            // A block that attends to another's entries leaves nothing else.
            guard block == index || !output.isEmpty || keepsQueries else { continue }
            let result = try run.run(range, output: output, keepsQueries: keepsQueries)
            logits += result.logits
            if block == index { collect(result.features, of: range) }
            try score(range, of: block)
        }
        return logits
    }

    mutating func collect(_ features: [Float], of range: Range<Int>) {
        if let foresight {
            foresight.collect(features, of: seen + range.lowerBound..<seen + range.upperBound, layer: index)
        } else {
            let written = oldCount + range.lowerBound..<oldCount + range.upperBound
            scorer.scoring?.collect(features: features, of: written, into: &table)
        }
    }

    /// Lets the policy choose what stays.
    mutating func finish() throws {
        if oldCount > 0, let scores = parts[0].scores {
            let earlier = scores.state.table(old, seen: seen, origin: parts[0].origin)
            try scorer.scoring?.addEarlier(earlier, scorer.prompt, to: &table)
        }
        try scorer.scoring?.addKeys(of: scorer.prompt, to: &table)
        for part in parts {
            try part.select(
                table.restricted(to: part.plan.heads), after: old, seen: seen + tokens, scratch: scratch, prefill)
        }
    }

    /// Lets those of the prompt's queries count that are in this chunk.
    mutating func score(_ range: Range<Int>, of block: Int) throws {
        let counted = range.clamped(to: tokens - scorer.countedQueries..<tokens)
        guard !counted.isEmpty else { return }
        let (scratch, entries, visible) = (scratch, entries, oldCount + range.upperBound)
        let chunk = PromptScorer.Chunk(
            queries: { scratch.queries($1.lowerBound - range.lowerBound..<$1.upperBound - range.lowerBound, in: $0) },
            tokens: counted, keys: { scratch.keys(0..<visible, of: entries, in: $0) }, visible: visible,
            sinks: prefill.model.weights.value.layers[block].attentionSinks,
            reader: prefill.model.description.reader(block))
        try scorer.score(chunk, into: &table)
    }
}

extension LayerCache {
    /// What the layer's rule makes of a prompt's queries; nil if it does not look at them.
    fileprivate func promptScoring(isFirstPrompt: Bool) -> (any PromptScoring)? {
        if let scores { return scores.state }
        guard case .once(let rule) = plan.rule, isFirstPrompt else { return nil }
        return PromptWindowSum(window: rule.window)
    }
}
