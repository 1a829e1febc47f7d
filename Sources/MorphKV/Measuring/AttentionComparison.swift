internal import Foundation
internal import Ggml

/// Feeds texts under several policies, and compares what they held with the full cache's attention.
final class AttentionComparison {
    private let model: Model
    private let caches: [CacheOptions]
    private let reader: LayerReader
    private let workspace: EngineWorkspace
    private let longest: Int
    private let threads: Int
    /// The most bytes of each cache.
    private var bytes: [Int]
    /// `[layer][kvHead][cache]`
    private var tallies: [[[AttentionTally]]]
    private var steps = 0

    init(_ model: Model, _ caches: [CacheOptions], longest: Int, threads: Int) throws {
        self.model = model
        self.caches = caches
        self.longest = longest
        self.threads = threads
        reader = try LayerReader(model, longest: longest, threads: threads)
        workspace = try EngineWorkspace(model, threads: threads)
        bytes = caches.map { _ in 0 }
        let description = model.description
        tallies = description.layers.map { layer in
            Array(repeating: caches.map { _ in AttentionTally() }, count: layer.kvHeads)
        }
    }

    /// Takes a text.
    ///
    /// - Parameter progress: called with the share of the text's work that is done.
    func compare(_ text: Calibrator.Text, progress: (Double) throws -> Void) throws {
        let total = Double(caches.count + 1)
        let lifetimes = try caches.enumerated().map { index, cache in
            try progress(Double(index) / total)
            return try feed(text, cache, index)
        }
        let stream = try reader.stream(of: text.tokens)
        let layers = model.description.layers.count
        for layer in 0..<layers {
            try progress((Double(caches.count) + Double(layer) / Double(layers)) / total)
            try compare(stream, text.answer, lifetimes.map { $0.ends[layer] }, layer)
            if layer < layers - 1 { try reader.advance(stream, through: layer) }
        }
        steps += text.tokens.count - text.answer
    }

    /// Feeds a text under a policy, and notes what it drops.
    private func feed(_ text: Calibrator.Text, _ cache: CacheOptions, _ index: Int) throws -> EntryLifetimes {
        let engine = try Engine(model, cache, in: workspace, reserve: text.tokens.count)
        try engine.prefill(Array(text.tokens[..<text.answer]))
        var lifetimes = EntryLifetimes(engine.positions, of: text.tokens.count, prompt: text.answer)
        for token in text.answer..<text.tokens.count {
            try engine.decode(text.tokens[token])
            lifetimes.note(engine.positions, at: token)
        }
        bytes[index] = max(bytes[index], engine.statistics.allocatedBytes)
        return lifetimes
    }

    /// - Parameter ends: `[cache][kvHead][token]`
    private func compare(_ stream: Tensor, _ prompt: Int, _ ends: [[[Int32]]], _ layer: Int) throws {
        let window = model.description.layers[layer].slidingWindow
        let group = model.description.geometry(of: layer).groupSize
        var isFinite = true
        try tallies[layer].withUnsafeMutableBufferPointer { heads in
            for head in heads.indices {
                for cache in heads[head].indices { heads[head][cache].beginText() }
            }
            try reader.weigh(stream, in: layer, from: prompt) { weights in
                // Where one score is not a number, no weight of the query is.
                isFinite =
                    isFinite
                    && stride(from: weights.visible - 1, to: weights.values.count, by: weights.visible)
                        .allSatisfy { weights.values[$0].isFinite }
                guard isFinite else { return }
                Parallel.run(heads.count, threads: threads) { head in
                    var comparison = StepComparison(weights, head: head, group: group, window: window)
                    for query in weights.queries {
                        comparison.begin(query)
                        for cache in heads[head].indices {
                            heads[head][cache].add(&comparison, ends: ends[cache][head])
                        }
                    }
                }
            }
        }
        guard isFinite else {
            throw CacheError(.attention, "layer \(layer) computes numbers that are not finite; is the model damaged?")
        }
    }

    /// What came out, one for each cache.
    func results(texts: Int, tokens: Int) throws -> [AttentionRecall] {
        try caches.enumerated().map { index, cache in
            let heads = tallies.enumerated().flatMap { layer, heads in
                heads.enumerated().map { head, tallies in
                    AttentionRecall.Head(
                        layer: layer, head: head, entries: tallies[index].entries,
                        shares: tallies[index].shares(steps: steps))
                }
            }
            return AttentionRecall(
                policy: cache.policy.specification, model: model.url.lastPathComponent, bytes: bytes[index],
                fullBytes: try FullCacheCost(model, cache).bytes(of: longest), texts: texts, tokens: tokens,
                steps: steps, heads: heads)
        }
    }
}
