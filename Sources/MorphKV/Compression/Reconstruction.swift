internal import Ggml

/// Has the model repeat a text, chunk by chunk, and notes the largest attention that each entry receives.
///
/// The model attends to everything, as usual. An entry's score is its largest weight in a softmax over what comes before
/// the text, the chunk that is being repeated, and the repetition itself up to the query, over all queries and all query
/// heads of the group. What the repetition adds to keys and values is dropped.
struct Reconstruction {
    let model: Model
    let backend: Backend
    let allocator: GraphAllocator
    /// The whole text; every head of a layer has the same entries.
    let cache: FrozenCache
    /// Tokens before the text that is repeated.
    let system: Int
    /// Whether kernels compute, or graphs do; nil: as the device can.
    var isFused: Bool?

    /// A chunk of the text, and what the model reads when it repeats it.
    struct Part {
        /// Positions of the chunk.
        let chunk: Range<Int>
        let input: [Token]
    }

    /// The parts in which a text is repeated.
    ///
    /// - Throws: ``GenerationError`` of kind `noTokenizer` for words without a tokenizer, ``CacheError`` for ids outside
    ///   the vocabulary and numbers that make no sense.
    static func parts(
        of tokens: [Token], after system: Int, _ prompt: ReconstructionPrompt, _ model: Model
    ) throws -> [Part] {
        try prompt.validate()
        let size = min(prompt.chunk, tokens.count)
        let (first, next) = (try model.tokens(prompt.first), try model.tokens(prompt.next))
        let postfix = try model.tokens(prompt.postfix)
        return stride(from: system, to: tokens.count, by: size).map { start in
            let chunk = start..<min(start + size, tokens.count)
            let before = tokens[max(system, start - min(prompt.overlap, size))..<start]
            return Part(chunk: chunk, input: (start == system ? first : next + before) + postfix + tokens[chunk])
        }
    }

    /// Scores every entry behind the first `system` ones, in all layers that see the whole text.
    ///
    /// - Parameter progress: called after each part with the parts done and their number.
    func score(_ parts: [Part], progress: (Int, Int) -> Void) throws -> EntryScores {
        let description = model.description
        let tokens = cache.tokens - system
        var scores = EntryScores(
            values: description.layers.map { layer in
                layer.slidingWindow == nil
                    ? Array(repeating: Array(repeating: 0, count: tokens), count: layer.kvHeads) : nil
            }, tokens: tokens)
        for (index, part) in parts.enumerated() {
            try score(part, into: &scores)
            progress(index + 1, parts.count)
        }
        return scores
    }

    private func score(_ part: Part, into scores: inout EntryScores) throws {
        var (stream, place) = (try EmbeddingReader(model).stream(of: part.input, on: backend), backend)
        let held = cache.layers.map { $0.layout.counts[0] }.max() ?? 0
        let layout = cache.layers[0].layout
        let description = model.description
        let scratches = try PrefillScratch.all(
            description, layout.keyType, layout.valueType, entries: held + part.input.count,
            queries: min(part.input.count, Prefill.chunk), isFused: isFused, on: backend)
        let recurrent = try RecurrentRun(model, after: cache.recurrent, on: backend, allocator: allocator)
        for layer in cache.layers.indices {
            if backend.at(layer) !== place {
                place = backend.at(layer)
                stream = try stream.copy(on: place)
            }
            try recurrent.run(stream, before: layer)
            scratches[layer].begin(description.layers[layer])
            let frozen = cache.layers[layer]
            scratches[layer].load(frozen, of: frozen.layout.counts[0] + part.input.count)
            try score(part, layer, stream, scratches[layer], into: &scores)
        }
        for block in cache.layers.count..<description.attentionBlockCount {
            try score(part, block, stream, scratches[description.source(of: block)], into: &scores)
        }
        try backend.check()
    }

    /// Takes the repetition through a layer, or through a block that attends to a layer's entries.
    private func score(
        _ part: Part, _ index: Int, _ stream: Tensor, _ scratch: PrefillScratch, into scores: inout EntryScores
    ) throws {
        let description = model.description
        let layer = description.source(of: index)
        let frozen = cache.layers[layer]
        let count = frozen.layout.counts[0]
        let tokens = part.input.count
        let repeated =
            scratch.kernel == nil || scores.values[layer] == nil
            ? nil
            : RepeatedRows(
                chunk: part.chunk, front: 0..<system, own: count, heads: description.layers[layer].kvHeads,
                threads: backend.threads)
        let run = LayerRun(
            model: model, backend: backend.at(layer), allocator: allocator, index: index, scratch: scratch,
            stream: stream,
            mask: AttentionMask(
                oldPositions: frozen.headPositions, newPositions: cache.tokens..<cache.tokens + tokens,
                slidingWindow: description.layers[layer].slidingWindow, queryHeads: description.queryHeads),
            oldCount: count, seen: cache.tokens, repeated: repeated)
        let place = Place(
            part: part, layer: layer, backend: backend.at(layer), scratch: scratch, oldCount: count,
            sinks: model.weights.value.layers[index].attentionSinks)
        // Nothing comes of what the last block attends to.
        let isLast = index == description.attentionBlockCount - 1
        for start in stride(from: 0, to: tokens, by: Prefill.chunk) {
            let range = start..<min(start + Prefill.chunk, tokens)
            try run.run(range, output: isLast ? 0..<0 : range, keepsQueries: isLast || scratch.kernel == nil)
            guard scores.values[layer] != nil else { continue }
            if scratch.kernel == nil { try raise(&scores, range, place) }
            if isLast, let repeated { try note(repeated, range, place) }
        }
        if let repeated {
            scores.raise(to: repeated.largest, layer: layer, from: part.chunk.lowerBound - system)
        }
    }

    /// A layer that a part of the text is taken through.
    private struct Place {
        let part: Part
        let layer: Int
        /// Where the layer is computed.
        let backend: Backend
        let scratch: PrefillScratch
        /// Entries per KV head from before the repetition.
        let oldCount: Int
        let sinks: Tensor?

        var entries: Int { oldCount + part.input.count }
    }

    /// Has the kernel note the largest weights of queries `range`, which lie in the scratch memory.
    private func note(_ repeated: RepeatedRows, _ range: Range<Int>, _ place: Place) throws {
        let graph = try Graph(on: place.backend, capacity: 16, allocator: allocator)
        let noted = place.scratch.kernel!.note(
            repeated, queries: place.scratch.queries(0..<range.count, in: graph),
            keys: place.scratch.keys(0..<place.entries, of: place.entries, in: graph), sinks: place.sinks,
            seen: place.oldCount + range.lowerBound + 1, in: graph)
        graph.output(noted)
        try graph.allocate()
        try graph.compute()
    }

    /// Raises scores to the largest weights that queries `range`, which lie in the scratch memory, give by a graph.
    private func raise(_ scores: inout EntryScores, _ range: Range<Int>, _ place: Place) throws {
        let (chunk, count) = (place.part.chunk, place.oldCount)
        let batches = PromptBatch.ranges(
            of: range, scores: (system + chunk.count + range.upperBound) * model.description.queryHeads)
        for queries in batches {
            let graph = try Graph(on: place.backend, capacity: 512, allocator: allocator)
            let q = place.scratch.queries(
                queries.lowerBound - range.lowerBound..<queries.upperBound - range.lowerBound, in: graph)
            let own = queries.upperBound
            let rows = [chunk, count..<count + own, 0..<system].filter { !$0.isEmpty }
            let best = largestWeights(
                of: graph.permute(q, [0, 2, 1, 3]),
                rows.map { place.scratch.keys($0, of: place.entries, in: graph) }, sinks: place.sinks, in: graph)
            graph.output(best.weights)
            try graph.allocate()
            best.mask.write(causalMask(queries, chunk: chunk.count, own: own))
            try graph.compute()
            scores.raise(to: best.weights.values(), layer: place.layer, from: chunk.lowerBound - system)
        }
    }

    /// The largest weight that some queries give to each entry of the chunk, by a graph, for devices whose memory the kernel
    /// does not see: `[chunk]` per KV head.
    ///
    /// - Parameter keys: those of the chunk, of the repetition, and of what is in front.
    private func largestWeights(
        of queries: Tensor, _ keys: [Tensor], sinks: Tensor?, in graph: Graph
    ) -> (weights: Tensor, mask: Tensor) {
        let d = model.description
        let products = keys.map { graph.matmul($0, queries) }
        let all = products.dropFirst().reduce(products[0]) { graph.concat($0, $1, along: 0) }
        let mask = graph.input(.f16, [all[0], queries[1]], name: "mask")
        let weights = graph.softmax(all, mask: mask, scale: d.attentionScale, sinks: sinks)
        let (chunk, kvHeads) = (keys[0][1], keys[0][2])
        let seen = graph.view(weights, [chunk, queries[1], d.queryHeads], strides: Array(weights.strides[1...2]))
        let byHead = graph.reduceRows(seen, by: .max)
        let flat = graph.reshape(
            byHead.isContiguous ? byHead : graph.contiguous(byHead), [chunk, d.queryHeads / kvHeads, kvHeads])
        return (graph.reduceGroup(flat, by: .max), mask)
    }

    /// Everything but later tokens of the repetition itself is seen.
    private func causalMask(_ queries: Range<Int>, chunk: Int, own: Int) -> [UInt16] {
        let width = chunk + own + system
        var mask = [UInt16](repeating: AttentionMask.visible, count: width * queries.count)
        for (row, query) in queries.enumerated() {
            for later in query + 1..<max(query + 1, own) { mask[row * width + chunk + later] = AttentionMask.hidden }
        }
        return mask
    }
}

extension EntryScores {
    /// Scores become at least these: `[chunk]` per KV head, of the entries from `first` on.
    fileprivate mutating func raise(to best: [Float], layer: Int, from first: Int) {
        guard let heads = values[layer]?.count else { return }
        let count = best.count / heads
        for head in 0..<heads {
            for index in 0..<count {
                values[layer]![head][first + index] = max(
                    values[layer]![head][first + index], best[head * count + index])
            }
        }
    }
}

extension Model {
    /// The token ids of words.
    func tokens(_ words: ReconstructionPrompt.Words) throws -> [Token] {
        switch words {
        case .tokens(let tokens):
            for token in tokens { try check(token) }
            return tokens
        case .text(let text):
            guard let tokenizer else {
                throw GenerationError(.noTokenizer, "the model has no tokenizer; give it token ids")
            }
            return tokenizer.encode(text, addSpecial: false, parseSpecial: true)
        }
    }
}
