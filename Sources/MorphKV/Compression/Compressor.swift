internal import Ggml

/// Makes what was read smaller: computes scores, chooses, and copies what stays.
struct Compressor {
    let model: Model
    /// Tokens at the beginning that are never cut.
    let system: Int
    /// Whether kernels compute, or graphs do.
    let isFused: Bool

    /// The scores of all entries behind the first `system` ones.
    ///
    /// - Parameters:
    ///   - cache: the whole text, nothing of it cut.
    ///   - tokens: the whole text.
    ///   - progress: called after each part of the text with the parts done and their number.
    func scores(
        _ cache: FrozenCache, _ tokens: [Token], _ prompt: ReconstructionPrompt, on backend: Backend,
        progress: (Int, Int) -> Void
    ) throws -> EntryScores {
        let parts = try Reconstruction.parts(of: tokens, after: system, prompt, model)
        let reconstruction = Reconstruction(
            model: model, backend: backend, allocator: try GraphAllocator(on: backend), cache: cache, system: system,
            isFused: isFused)
        return try reconstruction.score(parts, progress: progress)
    }

    /// Scores of whole heads as scores of all of their entries.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when they belong to another model.
    func scores(_ cache: FrozenCache, _ heads: HeadScores) throws -> EntryScores {
        guard heads.model == model.fingerprint else {
            throw CacheError(.invalidPolicy, "the scores of heads belong to the model \(heads.model), not to this one")
        }
        let layers = model.description.layers
        guard heads.scores.count == layers.count,
            zip(heads.scores, layers).allSatisfy({
                $0.count == ($1.slidingWindow == nil ? $1.kvHeads : 0) && $0.allSatisfy(\.isFinite)
            })
        else { throw CacheError(.invalidPolicy, "the scores of heads do not have the shape of the model") }
        return EntryScores(
            values: heads.scores.enumerated().map { layer, scores in
                scores.isEmpty
                    ? nil
                    : scores.enumerated().map { Array(repeating: $1, count: cuttable(cache.layers[layer], head: $0)) }
            }, tokens: cache.tokens - system)
    }

    private func cuttable(_ layer: FrozenLayer, head: Int) -> Int {
        layer.layout.counts[head] - layer.headPositions[head].prefix { $0 < system }.count
    }

    /// What stays: the entries, and the indices of their scores.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the compression makes no sense or the bytes are too few.
    func compress(
        _ cache: FrozenCache, _ scores: EntryScores, _ compression: Compression
    ) throws -> (cache: FrozenCache, kept: [[[Int]]?]) {
        try compression.validate(layerCount: cache.layers.count)
        let ratio = try self.ratio(cache, scores, compression.budget)
        var choice = choose(cache, scores, compression, ratio)
        if case .bytes(let most) = compression.budget, choice.bytes(cache) > most {
            choice = try largestChoice(cache, scores, compression, below: ratio, bytes: most)
        }
        let smaller = FrozenCache(
            layers: try zip(cache.layers, choice.kept).map { layer, kept in
                try kept.map { try layer.keeping($0) } ?? layer
            },
            tokens: cache.tokens, streaming: choice.streaming ?? cache.streaming, recurrent: cache.recurrent)
        return (smaller, choice.scored)
    }

    /// The most that fits into some bytes, to a few entries; some levels keep a little more than their share.
    private func largestChoice(
        _ cache: FrozenCache, _ scores: EntryScores, _ compression: Compression, below ratio: Double, bytes most: Int
    ) throws -> Choice {
        var best = choose(cache, scores, compression, 0)
        guard best.bytes(cache) <= most else {
            throw CacheError(
                .invalidPolicy, "\(most) bytes are too few: \(best.bytes(cache)) are needed at least")
        }
        var (low, high) = (0.0, ratio)
        for _ in 0..<12 {
            let middle = (low + high) / 2
            let choice = choose(cache, scores, compression, middle)
            if choice.bytes(cache) <= most {
                (low, best) = (middle, choice)
            } else {
                high = middle
            }
        }
        return best
    }

    /// What a compression decides.
    private struct Choice {
        /// Indices into what each head holds; nil for layers that are not cut.
        var kept: [[[Int]]?]
        /// The same, counted behind the protected entries.
        var scored: [[[Int]]?]
        var streaming: StreamingHeads?

        func bytes(_ cache: FrozenCache) -> Int {
            zip(cache.layers, kept).reduce(cache.recurrentBytes) { total, pair in
                var layout = pair.0.layout
                if let kept = pair.1 { layout.counts = kept.map(\.count) }
                return total + layout.bytes
            }
        }
    }

    private func choose(
        _ cache: FrozenCache, _ scores: EntryScores, _ compression: Compression, _ ratio: Double
    ) -> Choice {
        var scored = Selection(scores: scores).keep(ratio, compression.level, compression.curve)
        var streaming: StreamingHeads?
        if case .head(let sinks, let recent) = compression.level, sinks > 0 || recent > 0 {
            var heads: [[Int]] = []
            for (index, layer) in cache.layers.enumerated() {
                let cut = (scored[index] ?? []).indices.filter {
                    scored[index]![$0].count < cuttable(layer, head: $0)
                }
                for head in cut {
                    let positions = layer.headPositions[head].drop { $0 < system }
                    scored[index]![head] = positions.indices.filter {
                        positions[$0] < sinks || positions[$0] >= cache.tokens - recent
                    }.map { $0 - positions.startIndex }
                }
                heads.append(cut)
            }
            if recent > 0 { streaming = StreamingHeads(heads: heads, sinks: max(system, sinks), recent: recent) }
        }
        let kept = zip(cache.layers, scored).map { layer, heads in
            heads.map { heads in
                heads.enumerated().map { head, indices in
                    let before = layer.layout.counts[head] - cuttable(layer, head: head)
                    return Array(0..<before) + indices.map { before + $0 }
                }
            }
        }
        return Choice(kept: kept, scored: scored, streaming: streaming)
    }

    /// A budget as the share of the entries that can be cut.
    private func ratio(_ cache: FrozenCache, _ scores: EntryScores, _ budget: Compression.Budget) throws -> Double {
        let heads = model.description.kvHeads
        let layers = scores.values.filter { $0 != nil }.count
        let total = Double(max(1, layers * heads * scores.tokens))
        switch budget {
        case .ratio(let ratio): return ratio
        case .capacity(let entries):
            guard entries >= system else {
                throw CacheError(
                    .invalidPolicy, "a capacity of \(entries) is less than the \(system) tokens that always stay")
            }
            return min(1, Double(entries - system) * Double(layers * heads) / total)
        case .bytes(let bytes):
            let row = cache.layers[0].layout.keyRow + cache.layers[0].layout.valueRow + 4
            return min(1, max(0, Double((bytes - cache.recurrentBytes) / row) / total))
        }
    }
}
