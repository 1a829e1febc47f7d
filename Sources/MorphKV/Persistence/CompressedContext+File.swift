public import Foundation
internal import Ggml

extension CompressedContext {
    /// Writes the context to a file: entries, positions, scores, token ids and the model's fingerprint, as GGUF.
    ///
    /// - Throws: `GgmlError` of kind `file` when the disk is full or the place cannot be written; no partial file stays
    ///   behind, and a file that was there before stays whole.
    public func save(to url: URL) throws {
        let writer = CacheFileWriter(.context, model: model)
        let layout = cache.layers[0].layout
        writer.set("tokens", tokens.map(Int.init))
        writer.set("system", systemTokens)
        writer.set("whole", isWhole ? 1 : 0)
        writer.set("key_type", layout.keyType.rawValue)
        writer.set("value_type", layout.valueType.rawValue)
        for known in scores.all {
            let (names, scores) = (known.origin.names, known.scores)
            writer.set(names.key, scores.tokens)
            writer.set(names.key + "_entries", scores.values.flatMap { ($0 ?? []).map(\.count) })
            for (layer, values) in scores.values.enumerated() {
                writer.add(CacheFile.frozen(layer, names.tensor), (values ?? []).flatMap { $0 })
            }
        }
        writer.add(cache.layers, streaming: cache.streaming, of: model.description)
        try writer.add(cache.recurrent, of: model.description)
        // The layers own the memory that is written.
        try withExtendedLifetime(cache) { try writer.write(to: url) }
    }

    /// Reads a saved context; its entries stay in the file, which is mapped into memory. ``attention`` is automatic.
    ///
    /// - Throws: ``SavedCacheError`` if the file is something else, damaged, newer, or made with another model; `GgmlError`
    ///   of kind `file` if it cannot be read.
    public init(contentsOf url: URL, model: Model) throws {
        let reader = try CacheFileReader(url, .context, model)
        let tokens = try reader.tokens("tokens")
        let system = try reader.integer("system", in: 0...tokens.count)
        let layers = try reader.frozenLayers(reader.type("key_type"), reader.type("value_type"), tokens: tokens.count)
        guard !tokens.isEmpty, layers.allSatisfy({ $0 != nil }) else { throw reader.damaged("a layer is missing") }
        let cache = FrozenCache(
            layers: layers.compactMap { $0 }, tokens: tokens.count, streaming: try reader.streamingHeads(),
            recurrent: try reader.recurrentCopy())
        let isWhole = try reader.integer("whole", in: 0...1) == 1
        guard !isWhole || cache.isWhole(model.description) else {
            throw reader.damaged("it claims to be whole, and is not")
        }
        self.init(
            model: model, tokens: tokens, systemTokens: system, isWhole: isWhole, cache: cache,
            scores: try [ScoreOrigin.reconstruction(nil), .calibration].compactMap { origin in
                try reader.scores(origin.names, for: cache, system: system)
                    .map { KnownScores(origin: origin, scores: $0) }
            })
    }
}

extension ScoreOrigin {
    /// Under which names scores are saved: how many tokens were scored, and the scores of a layer.
    fileprivate var names: (key: String, tensor: String) {
        self == .calibration ? ("foreseen", "foresight") : ("scored", "scores")
    }
}

extension CacheFileReader {
    fileprivate func scores(
        _ names: (key: String, tensor: String), for cache: FrozenCache, system: Int
    ) throws -> EntryScores? {
        guard has(names.key) else { return nil }
        let d = model.description
        let scored = d.layers.indices.filter { d.layers[$0].slidingWindow == nil }
        let tokens = try integer(names.key, in: 0...cache.tokens)
        var counts = try integers(
            names.key + "_entries", in: 0...cache.tokens, count: scored.reduce(0) { $0 + d.layers[$1].kvHeads })[...]
        var scores = EntryScores(values: d.layers.map { _ in nil }, tokens: tokens)
        for layer in scored {
            let heads = Array(counts.prefix(d.layers[layer].kvHeads))
            counts = counts.dropFirst(heads.count)
            for (head, positions) in cache.layers[layer].headPositions.enumerated() {
                guard heads[head] == positions.count - positions.prefix(while: { $0 < system }).count else {
                    throw damaged("layer \(layer) does not have one score per entry")
                }
            }
            var all = try floats(CacheFile.frozen(layer, names.tensor), count: heads.reduce(0, +))[...]
            guard all.allSatisfy({ !$0.isNaN }) else { throw damaged("a score of layer \(layer) is not a number") }
            scores.values[layer] = heads.map { count in
                defer { all = all.dropFirst(count) }
                return Array(all.prefix(count))
            }
        }
        return scores
    }
}
