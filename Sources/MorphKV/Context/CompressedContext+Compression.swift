internal import Ggml

extension CompressedContext {
    /// Drops entries for good, the least important first; copies of the context keep theirs.
    ///
    /// Scores are found once and kept, so that several budgets can be tried on copies of a context at no cost. To repeat
    /// the text takes about as long as reading it twice. Scores of a calibration cost nothing if the context was read
    /// for them (see ``init(reading:after:model:options:scoredBy:threads:)-(String,_,_,_,_,_)``); else the text is
    /// read once more.
    ///
    /// - Parameters:
    ///   - compression: how much stays, chosen by what.
    ///   - threads: CPU threads for the scores; as many as the machine has cores if nil.
    ///   - progress: called with the share done, 0 to 1, each time that the model has read a part of the text again.
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the compression makes no sense, or scores are needed and
    ///   the context was cut by other means before, of kind `calibration` if the model has none that can be used;
    ///   `GgmlError` when memory is short.
    public mutating func compress(
        _ compression: Compression, threads: Int? = nil, progress: (Double) -> Void = { _ in }
    ) throws {
        try compression.validate(layerCount: cache.layers.count)
        let known = try knownScores(compression.source, threads: threads, progress: progress)
        let smaller = try compressor.compress(cache, known.scores, compression)
        var left = scores.all.map { $0.keeping(smaller.kept) }
        if case .heads = compression.source { left = [] }
        cut(to: smaller.cache, knowing: left)
    }

    private var compressor: Compressor {
        Compressor(model: model, system: systemTokens, isFused: isFused)
    }

    /// Cuts the context by scores that were found elsewhere, by another method.
    mutating func compress(by scores: EntryScores, ratio: Double, level: Compression.Level) throws {
        let smaller = try compressor.compress(cache, scores, Compression(.ratio(ratio), level: level))
        cut(to: smaller.cache, knowing: [])
    }

    /// How much each KV head matters in this text, to cut any other text by (``Compression/heads(_:ratio:sinks:recent:)``).
    ///
    /// - Parameters:
    ///   - source: where the scores of its entries come from.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - progress: called with the share done, 0 to 1.
    /// - Throws: as ``compress(_:threads:progress:)``.
    public func headScores(
        _ source: Compression.Source = .reconstruction(ReconstructionPrompt()), threads: Int? = nil,
        progress: (Double) -> Void = { _ in }
    ) throws -> HeadScores {
        let known = try knownScores(source, threads: threads, progress: progress)
        return HeadScores(model: model.fingerprint, scores: known.scores.heads)
    }

    /// The scores of a source, found now unless they are known.
    ///
    /// - Parameter backend: where the text is repeated; one of its own if nil.
    @discardableResult
    func knownScores(
        _ source: Compression.Source, threads: Int?, on backend: Backend? = nil, progress: (Double) -> Void
    ) throws -> KnownScores {
        let origin: ScoreOrigin
        switch source {
        case .reconstruction(let prompt): origin = .reconstruction(prompt)
        case .calibration: origin = .calibration
        case .heads(let heads):
            return KnownScores(origin: .reconstruction(nil), scores: try compressor.scores(cache, heads))
        }
        if let known = scores.known(origin) { return known }
        guard isWhole else {
            throw CacheError(
                .invalidPolicy,
                "the context was cut without scores, or with scores of another kind or request, which it lacks now")
        }
        let start = ContinuousClock.now
        let found: EntryScores
        if case .reconstruction(let prompt) = source {
            let backend = try backend ?? Backend(model.placement, threads: Self.threads(threads))
            found = try compressor.scores(cache, tokens, prompt, on: backend) { progress(Double($0) / Double($1)) }
        } else {
            found = try foreseenScores(threads: threads)
            progress(1)
        }
        let known = KnownScores(origin: origin, scores: found, seconds: (ContinuousClock.now - start) / .seconds(1))
        scores.set(known)
        return known
    }

    /// Scores by the calibration of a text that was read without them: it is read once more, of which nothing stays.
    private func foreseenScores(threads: Int?) throws -> EntryScores {
        // Of a whole prompt, which is read in full, this policy keeps next to nothing.
        let engine = try Engine(
            model, options(StreamingPolicy(capacity: 2, sinks: 0)), threads: Self.threads(threads))
        let foresight = try engine.foresight(of: tokens.count, for: .calibration)!
        try engine.prefill(tokens, foresight: foresight)
        return foresight.scores(after: systemTokens)
    }
}
