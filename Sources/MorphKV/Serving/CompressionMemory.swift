internal import Ggml

/// What it takes to compress a text while an answer may be written beside it, known before.
struct CompressionMemory {
    let model: Model
    /// How keys and values are stored; everything stays.
    let options: CacheOptions

    private var description: DecoderDescription { model.description }
    private var isFused: Bool { options.isFused(on: model.placement) }
    /// Bytes of a token's keys and values, of each layer.
    private var rows: [Int] { description.layers.map(options.bytesPerToken) }
    /// KV heads of the layers that see the whole text, which alone are scored and cut.
    private var scoredHeads: Int { description.layers.reduce(0) { $0 + ($1.slidingWindow == nil ? $1.kvHeads : 0) } }

    /// Bytes of the entries of all layers.
    ///
    /// - Parameters:
    ///   - tokens: of the text.
    ///   - kept: of these, those of which layers that see the whole text hold entries.
    ///   - besides: bytes of an entry besides its key and value.
    private func bytes(_ tokens: Int, kept: Int, besides: Int) -> Int {
        description.layers.reduce(0) { sum, layer in
            let count = layer.slidingWindow.map { min(tokens, $0) } ?? kept
            return sum + count * (options.bytesPerToken(of: layer) + besides * layer.kvHeads)
        }
    }

    private var recurrentBytes: Int {
        guard let state = try? RecurrentState(description) else { return 0 }
        return state.tensors.reduce(0) { $0 + $1.tensor.bytes }
    }

    /// Bytes of a context at most once it is in memory, with its file's scores.
    func resultBytes(tokens: Int, system: Int, _ compression: Compression) -> Int {
        let text = tokens - system
        var kept = text
        if case .ratio(let ratio) = compression.budget {
            kept = min(text, Int((Double(text) * ratio).rounded(.up)) + 1)
        }
        if case .head(let sinks, let recent) = compression.level { kept = min(text, kept + sinks + recent) }
        // Names, shapes and lists of numbers of each layer's tensors, and the gaps between tensors.
        let names = description.layers.count * (2048 + 16 * description.kvHeads) + (64 << 10)
        let held = bytes(tokens, kept: system + kept, besides: 8)
        return held + copiedBytes(of: held) + recurrentBytes + names + 8 * tokens
    }

    /// Bytes at most of the copy that graphs attend to, of entries that take so many.
    private func copiedBytes(of entries: Int) -> Int {
        guard !isFused else { return 0 }
        // What heads are filled up with, one row for those without entries, and gaps between tensors.
        let heads = description.layers.reduce(0) { $0 + $1.kvHeads }
        return entries + Int(BucketPlan.mostPadding * Double(entries)) + heads * ((rows.max() ?? 0) + 1024)
    }

    /// Bytes at most while a text is read, scored, cut and written.
    ///
    /// - Parameter tokens: the longest text.
    func bytes(tokens: Int, threads: Int) throws -> Int {
        let plan = try CachePlan(model, options, tokens: tokens)
        let (layers, heads) = (description.layers.count, description.kvHeads)
        let whole = bytes(tokens, kept: tokens, besides: 4) + layers * (heads + 1) * 8 + recurrentBytes
        let scores = scoredHeads * tokens * MemoryLayout<Float>.stride
        let part = try longestPart()
        let backend = try Backend(model.placement, threads: threads)
        let scratch = try PrefillScratch.bytes(
            of: PrefillScratch.all(
                description, options.keyType, options.valueType, entries: 1, queries: Prefill.chunk, isFused: isFused,
                on: backend))
        let largest = rows.max() ?? 0
        func memory(_ entries: Int, _ stream: Int) -> Int {
            scratch + entries * largest * (1 + description.sharedLayers) + 4 * stream * description.streamLength
        }
        // The largest layer is there twice while it becomes one that never changes; where graphs attend it is copied and turned
        // besides.
        let reading =
            plan.bytes + (isFused ? 1 : 4) * (plan.layerBytes.max() ?? 0) + KVCache.growth * rows.reduce(0, +)
            + memory(tokens, tokens)
            + scores
        let repeating =
            isFused
            ? PromptKernel.bytes(repeating: ReconstructionPrompt().chunk, description, threads: backend.threads) : 0
        let scoring = whole + memory(tokens + part, part) + scores + recurrentBytes + repeating
        // Scores are copied and sorted, what stays is listed by numbers, and copied beside the whole.
        let choosing = 2 * whole + 14 * scores
        // Positions, choices and rows of a layer's entries; ids of the text and of those that wait; blocks of a file.
        let tables = 96 * heads * tokens + 64 * tokens + ContextStore.waitingLimit * 8 * tokens + (16 << 20)
        let graphs = try rehearse(tokens: tokens, threads: threads)
        return max(reading, scoring, choosing) + graphs + tables + 4 * description.vocabularySize
    }

    /// Tokens of the longest part that the model repeats.
    private func longestPart() throws -> Int {
        let prompt = ReconstructionPrompt()
        let words = try max(model.tokens(prompt.first).count, model.tokens(prompt.next).count + prompt.overlap)
        return words + prompt.chunk + (try model.tokens(prompt.postfix)).count
    }

    /// Bytes of intermediate results: graphs of a text get their memory, but are not computed.
    private func rehearse(tokens: Int, threads: Int) throws -> Int {
        let backend = try Backend(model.placement, threads: threads)
        backend.isRehearsal = true
        // Longer texts have more graphs, not larger ones.
        let text = [Token](repeating: 0, count: min(tokens, 2 * ReconstructionPrompt().chunk))
        let workspace = try EngineWorkspace(model, on: backend)
        let engine = try Engine(model, options, in: workspace)
        let hasCalibration = (try? model.calibration()) != nil
        try engine.prefill(text, foresight: engine.foresight(of: text.count, for: hasCalibration ? .calibration : nil))
        let cache = try engine.cache.freeze()
        let allocator = try GraphAllocator(on: backend)
        // What comes before the text is attended to by every part of it.
        for system in [0, text.count / 2] {
            let parts = try Reconstruction.parts(of: text, after: system, ReconstructionPrompt(), model)
            let longest = parts.max { $0.input.count < $1.input.count }
            let reconstruction = Reconstruction(
                model: model, backend: backend, allocator: allocator, cache: cache, system: system, isFused: isFused)
            _ = try reconstruction.score(longest.map { [$0] } ?? []) { _, _ in }
        }
        return max(workspace.bytes, allocator.allocatedBytes)
    }

    /// Graphs that a text takes until it is scored, about.
    func graphs(of text: ContextText) throws -> Int {
        func parts(_ count: Int) -> Int { (count + Prefill.chunk - 1) / Prefill.chunk }
        let layers = description.attentionBlockCount
        let reading = layers * (parts(text.tokens) + 3)
        guard case .reconstruction(let prompt) = text.compression.source else { return reading }
        let repeated = try Reconstruction.parts(
            of: text.system + text.document, after: text.system.count, prompt, model)
        return repeated.reduce(reading) { sum, part in
            let columns = text.system.count + part.chunk.count + part.input.count
            let batches = PromptBatch.ranges(
                of: 0..<min(part.input.count, Prefill.chunk), scores: columns * description.queryHeads
            ).count
            return sum + layers * parts(part.input.count) * (1 + batches)
        }
    }

    /// A text of so many tokens of which one head holds everything, so that nothing takes more to attend to.
    func largestContext(tokens: Int) throws -> CompressedContext {
        let backend = try Backend(model.placement, threads: 1)
        let recurrent = try RecurrentState(description)
        try recurrent?.allocate(on: backend)
        let layers = try description.layers.map { layer in
            let count = min(tokens, layer.slidingWindow ?? tokens)
            let layout = FrozenLayer.Layout(
                counts: (0..<layer.kvHeads).map { $0 == 0 ? count : 0 }, keyType: options.keyType,
                valueType: options.valueType, dimension: layer.headDimension)
            let rows = try HostBlock(bytes: layout.entries * max(layout.keyRow, layout.valueRow))
            rows.memory.initializeMemory(as: UInt8.self, repeating: 0)
            let entries = layout.counts.map { count in
                (0..<count).map { EntryRows.Entry(row: $0, position: tokens - count + $0) }
            }
            let source = EntryRows(
                keys: UnsafeRawPointer(rows.memory.baseAddress!), values: UnsafeRawPointer(rows.memory.baseAddress!),
                starts: layout.counts.map { _ in 0 })
            return try withExtendedLifetime(rows) { try FrozenLayer(layout, from: [(source, entries)]) }
        }
        let cache = FrozenCache(layers: layers, tokens: tokens, streaming: nil, recurrent: recurrent?.copy())
        return CompressedContext(
            model: model, tokens: [], systemTokens: 0, isWhole: false, cache: cache, scores: [],
            attention: options.attention)
    }
}
