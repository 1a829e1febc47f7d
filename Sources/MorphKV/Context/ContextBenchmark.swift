internal import Foundation

/// What cutting a context saves: bytes, and time per token, in one run on one machine.
///
/// The entries are random numbers: speed and size do not depend on what they say. What stays is drawn by lot among all
/// layers and heads, so that heads end with different numbers of entries, as after ``Compression/Level/pair``.
public struct ContextBenchmark: Sendable, Hashable, Codable {
    /// Tokens of the context.
    public var tokens: Int
    /// The share of the entries that stays.
    public var ratio: Double
    /// Bytes of the whole context.
    public var wholeBytes: Int
    /// Bytes of the cut context.
    public var cutBytes: Int
    /// Seconds per token without a context; the fastest tenth, like the others.
    public var secondsWithout: Double
    /// Seconds per token with the whole context.
    public var secondsWhole: Double
    /// Seconds per token with the cut context.
    public var secondsCut: Double

    /// How many times faster the part of a step is that grows with the context.
    public var attentionSpeedup: Double { (secondsWhole - secondsWithout) / (secondsCut - secondsWithout) }
    /// How many times smaller the context is.
    public var sizeReduction: Double { Double(wholeBytes) / Double(cutBytes) }

    /// Decodes some tokens on each of the contexts, in turn, so that disturbances meet all of them.
    ///
    /// - Parameters:
    ///   - options: how keys and values are stored.
    ///   - rounds: how often each takes its turn, with four tokens at a time.
    /// - Throws: what making caches and decoding throw.
    public static func measure(
        _ model: Model, tokens: Int, ratio: Double, options: CacheOptions = .full, rounds: Int = 12, threads: Int? = nil
    ) throws -> ContextBenchmark {
        let whole = try Context(random: tokens, model: model, options: options)
        var cut = whole
        var random = SplitMix64(seed: 2)
        let scores = EntryScores(
            values: model.description.layers.map { layer in
                layer.slidingWindow == nil
                    ? (0..<model.description.kvHeads).map { head in
                        // Heads differ in how much they matter.
                        (0..<tokens).map { _ in Float(random.next() >> 40) * (1 + Float(head % 4)) }
                    } : nil
            }, tokens: tokens)
        try cut.compress(by: scores, ratio: ratio, level: .pair)
        let none = try Context(random: 1, model: model, options: options)
        let engines = try [none, whole, cut].map {
            try Engine(
                model, options.with(FullPolicy()),
                threads: Context.threads(threads), reserve: 4 * rounds + 4,
                context: $0.cache)
        }
        var seconds: [[Double]] = [[], [], []]
        for round in 0...rounds {
            for (index, engine) in engines.enumerated() {
                for step in 0..<4 {
                    let start = ContinuousClock.now
                    try engine.decode(Token(step + 1))
                    // The first round finds the memory.
                    if round > 0 { seconds[index].append((ContinuousClock.now - start) / .seconds(1)) }
                }
            }
        }
        // What else runs on the machine only ever adds.
        let fastest = seconds.map { $0.sorted()[$0.count / 10] }
        return ContextBenchmark(
            tokens: tokens, ratio: ratio, wholeBytes: whole.statistics.allocatedBytes,
            cutBytes: cut.statistics.allocatedBytes, secondsWithout: fastest[0], secondsWhole: fastest[1],
            secondsCut: fastest[2])
    }
}

extension Context {
    /// A context of random entries, as if that many tokens had been read.
    fileprivate init(random count: Int, model: Model, options: CacheOptions) throws {
        let d = model.description
        var random = SplitMix64(seed: 1)
        let values = random.normals(1 << 16)
        let layers = d.layers.map { layer in
            let held = min(count, layer.slidingWindow ?? count)
            let layout = FrozenLayer.Layout(
                counts: Array(repeating: held, count: d.kvHeads), keyType: options.keyType,
                valueType: options.valueType, dimension: d.headDimension)
            let (keys, rows) = (
                HostBlock(bytes: layout.entries * layout.keyRow), HostBlock(bytes: layout.entries * layout.valueRow)
            )
            keys.fill(layout.keyType, rowLength: d.headDimension, from: values)
            rows.fill(layout.valueType, rowLength: d.headDimension, from: values)
            let entries = (0..<held).map { EntryRows.Entry(row: $0, position: count - held + $0) }
            return FrozenLayer(
                layout,
                from: [
                    (
                        EntryRows(
                            keys: UnsafeRawPointer(keys.memory.baseAddress!),
                            values: UnsafeRawPointer(rows.memory.baseAddress!),
                            starts: (0..<d.kvHeads).map { $0 * held }), Array(repeating: entries, count: d.kvHeads)
                    )
                ])
        }
        self.init(
            model: model, tokens: Array(repeating: 0, count: count), systemTokens: 0, isWhole: true,
            cache: FrozenCache(layers: layers, tokens: count), scores: nil)
    }
}
