internal import Ggml

extension CompressedContext {
    /// A context of random entries, as if that many tokens had been read: what benchmarks need of a text, since speed and
    /// size do not depend on what entries say.
    package init(random count: Int, model: Model, options: CacheOptions) throws {
        let d = model.description
        var random = SplitMix64(seed: 1)
        let values = random.normals(1 << 16)
        let layers = try d.layers.map { layer in
            let held = min(count, layer.slidingWindow ?? count)
            let layout = FrozenLayer.Layout(
                counts: Array(repeating: held, count: layer.kvHeads), keyType: options.keyType,
                valueType: options.valueType, dimension: layer.headDimension)
            let keys = try HostBlock(bytes: layout.entries * layout.keyRow)
            let rows = try HostBlock(bytes: layout.entries * layout.valueRow)
            try keys.fill(layout.keyType, rowLength: layer.headDimension, from: values)
            try rows.fill(layout.valueType, rowLength: layer.headDimension, from: values)
            let entries = (0..<held).map { EntryRows.Entry(row: $0, position: count - held + $0) }
            return try FrozenLayer(
                layout,
                from: [
                    (
                        EntryRows(
                            keys: UnsafeRawPointer(keys.memory.baseAddress!),
                            values: UnsafeRawPointer(rows.memory.baseAddress!),
                            starts: (0..<layer.kvHeads).map { $0 * held }),
                        Array(repeating: entries, count: layer.kvHeads)
                    )
                ])
        }
        self.init(
            model: model, tokens: Array(repeating: 0, count: count), systemTokens: 0, isWhole: true,
            cache: FrozenCache(layers: layers, tokens: count), scores: [])
    }

    /// Drops entries by lot among all layers and heads, so that heads end with different numbers of them, as after
    /// ``Compression/Level/pair``.
    ///
    /// - Throws: ``CacheError`` for a ratio that is none.
    package mutating func compressAtRandom(ratio: Double) throws {
        var random = SplitMix64(seed: 2)
        let scores = EntryScores(
            values: zip(cache.layers, model.description.layers).map { layer, description in
                guard description.slidingWindow == nil else { return nil }
                return layer.layout.counts.enumerated().map { head, count in
                    // Heads differ in how much they matter.
                    (0..<count).map { _ in Float(random.next() >> 40) * (1 + Float(head % 4)) }
                }
            }, tokens: tokens.count)
        try compress(by: scores, ratio: ratio, level: .pair)
    }
}
