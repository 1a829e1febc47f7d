internal import Ggml

/// Sequences that see entries besides those in the slots.
extension Engine {
    /// Tokens that enter at once; few different numbers, since each needs a graph of its own.
    static let feedSizes = [64, 16, 4, 1]

    /// Feeds a prompt as if it were decoded, so that each token attends to what is seen besides the slots too.
    ///
    /// - Returns: the logits of all tokens if wanted, else nothing.
    func feed(_ tokens: [Token], wantsAllLogits: Bool) throws -> [Float] {
        var all: [Float] = []
        var rest = tokens[...]
        do {
            while !rest.isEmpty {
                let most = min(rest.count, cache.floor?.largestPart ?? rest.count)
                let size = wantsAllLogits || cache.isBursty ? 1 : Self.feedSizes.first { $0 <= most }!
                cache.evictBursts()
                try cache.grow(by: size)
                try makeRoom(for: size)
                try runner.step([Feed(cache: cache, tokens: Array(rest.prefix(size)))]) {
                    $1.read(into: &logits)
                }
                rest = rest.dropFirst(size)
                if wantsAllLogits { all += logits }
            }
        } catch {
            cache.clear()
            throw error
        }
        return all
    }

    /// Everything that the sequence sees, with every key where it was written.
    ///
    /// - Throws: `GgmlError` when memory is short or the device fails.
    func frozenCopy() throws -> FrozenCache {
        if cache.frame != RotaryFrame() { try mover.move(cache, to: RotaryFrame()) }
        return try cache.frozenCopy()
    }

    /// What collects the scores of a text while it is read, if that is where they come from.
    ///
    /// - Parameter tokens: the length of the text, a sequence's first prompt.
    /// - Throws: ``CacheError`` of kind `calibration` if the model has none that can be used.
    func foresight(of tokens: Int, for source: Compression.Source?) throws -> TextForesight? {
        guard source == .calibration else { return nil }
        return TextForesight(
            try model.neededCalibration(for: "cutting a text by what is foreseen"), model.description, tokens: tokens)
    }

    /// Replaces what the cache holds of the first prompt by what a compression leaves of it.
    ///
    /// - Parameter foresight: what was collected while the prompt was read, if the compression needs it.
    func compress(_ tokens: [Token], _ compression: Compression, _ foresight: TextForesight?) throws {
        try compression.validate(layerCount: cache.parts.count)
        let compressor = Compressor(
            model: model, system: min(cache.options.policy.protectedTokens, tokens.count), isFused: cache.isFused)
        let whole = try cache.freeze()
        let scores: EntryScores
        switch compression.source {
        case .reconstruction(let prompt):
            scores = try compressor.scores(whole, tokens, prompt, on: backend) { _, _ in }
        case .heads(let heads): scores = try compressor.scores(whole, heads)
        case .calibration: scores = foresight!.scores(after: compressor.system)
        }
        cache.follow(try compressor.compress(whole, scores, compression).cache)
    }
}
