import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// What policies hold of the full cache's attention, against its definition in double precision.
@Suite struct AttentionRecallTests {
    private static let policies = [
        "streaming:capacity=24,sinks=2", "h2o:capacity=24,window=6", "morphkv:capacity=24,window=6",
        "keydiff:capacity=24,window=6", "snapkv:promptCapacity=24,window=6", "adakv:promptCapacity=24,window=6", "full",
    ]
    /// Two texts of another length; one prompt fits into the capacity, one does not.
    private static let texts = [(90, 65), (36, 10)].map { count, prompt in
        Calibrator.Text(TestModels.tokens(count, vocabulary: 64, seed: UInt64(count)), answer: prompt)
    }

    private func caches(_ policies: [String] = policies) throws -> [CacheOptions] {
        try policies.map { CacheOptions(policy: try PolicyRegistry.standard.policy($0), elementType: .f32) }
    }

    /// What a head of a policy has, added up step by step from whole matrices of weights.
    private struct Expected {
        var attention = AttentionRecall.distances.map { _ in 0.0 }
        var kept = AttentionRecall.distances.map { _ in 0.0 }
        var best = AttentionRecall.distances.map { _ in 0.0 }
        var random = AttentionRecall.distances.map { _ in 0.0 }
        var entries = 0

        /// - Parameters:
        ///   - weights: of the entries up to the query.
        ///   - seen: how many of them the layer sees.
        mutating func add(_ weights: [Double], held: Set<Int>, entries: Int, seen: Int) {
            let query = weights.count - 1
            let largest = Set(weights.indices.sorted { (weights[$0], $0) > (weights[$1], $1) }.prefix(entries))
            let share = seen > 1 ? min(1, Double(entries - 1) / Double(seen - 1)) : 0
            for (entry, weight) in weights.enumerated() {
                let range = AttentionRecall.distances.lastIndex { $0 <= query - entry }!
                attention[range] += weight
                if held.contains(entry) { kept[range] += weight }
                if largest.contains(entry) { best[range] += weight }
                random[range] += entry == query ? weight : weight * share
            }
            self.entries = max(self.entries, entries)
        }
    }

    /// `[layer][kvHead]`
    private func expected(
        _ cache: CacheOptions, _ model: Model, _ shape: ModelShape, _ reference: [[ReferenceDecoder.Layer]]
    ) throws -> [[Expected]] {
        let group = shape.queryHeads / shape.kvHeads
        var result = Array(
            repeating: Array(repeating: Expected(), count: shape.kvHeads), count: shape.layers)
        for (text, layers) in zip(Self.texts, reference) {
            let engine = try Engine(model, cache, threads: 1)
            try engine.prefill(Array(text.tokens[..<text.answer]))
            var most = Array(repeating: Array(repeating: 0, count: shape.kvHeads), count: shape.layers)
            for query in text.answer..<text.tokens.count {
                try engine.decode(text.tokens[query])
                for (layer, heads) in engine.positions.enumerated() {
                    for (head, held) in heads.enumerated() {
                        let weights = (0...query).map { entry in
                            let sum = (0..<group).reduce(0) {
                                $0 + layers[layer].weights[head * group + $1][query][entry]
                            }
                            return sum / Double(group)
                        }
                        most[layer][head] = max(most[layer][head], held.count)
                        result[layer][head].add(
                            weights, held: Set(held), entries: most[layer][head],
                            seen: min(query + 1, shape.slidingWindow ?? .max))
                    }
                }
            }
        }
        return result
    }

    private func expectClose(_ shares: [Double], _ sums: [Double], _ steps: Int, _ what: String) {
        #expect(zip(shares, sums).allSatisfy { abs($0 - $1 / Double(steps)) < 1e-5 }, "\(what): \(shares), \(sums)")
    }

    @Test(
        "every share of every head is that of whole matrices in double precision",
        arguments: [CalibratorTests.cases[0], CalibratorTests.cases[3]])
    func shares(_ test: CalibratorTests.Case) throws {
        let model = try Model(contentsOf: TestModels.url(test.shape))
        let caches = try caches()
        let results = try AttentionRecall.measure(model, caches, texts: Self.texts, threads: 1)
        let decoder = try ReferenceDecoder(test.shape, model.url)
        let reference = Self.texts.map { decoder.layers(of: $0.tokens) }
        for (result, cache) in zip(results, caches) {
            let expected = try expected(cache, model, test.shape, reference)
            #expect(result.policy == cache.policy.specification && result.steps == 51 && result.tokens == 126)
            #expect(result.heads.count == test.shape.layers * test.shape.kvHeads)
            for head in result.heads {
                let sums = expected[head.layer][head.head]
                #expect(head.entries == sums.entries)
                let name = "\(result.policy), layer \(head.layer), head \(head.head)"
                expectClose(head.shares.attention, sums.attention, result.steps, name)
                expectClose(head.shares.kept, sums.kept, result.steps, name)
                expectClose(head.shares.best, sums.best, result.steps, name)
                expectClose(head.shares.random, sums.random, result.steps, name)
            }
        }
    }

    @Test("no policy holds more than the bound; the full cache holds everything; threads change nothing")
    func bounds() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        let results = try AttentionRecall.measure(model, caches(), texts: Self.texts, threads: 1)
        for result in results {
            for head in result.heads {
                let (kept, best) = (head.shares.kept.reduce(0, +), head.shares.best.reduce(0, +))
                #expect(kept < best + 1e-6 && best < 1 + 1e-6)
                #expect(head.shares.random.reduce(0, +) < best + 1e-6)
                #expect(abs(head.shares.attention.reduce(0, +) - 1) < 1e-5)
            }
            #expect(result.bytes > 0 && result.fullBytes > 0)
        }
        let full = try #require(results.last)
        for head in full.heads {
            #expect(head.shares.kept == head.shares.attention && head.shares.best == head.shares.attention)
            #expect(head.shares.random == head.shares.attention && head.entries == 90)
        }
        // Keys and values in f32: 2 layers, 2 KV heads, 8 elements.
        #expect(full.fullBytes == 90 * 2 * 2 * 2 * 8 * 4)
        #expect(try AttentionRecall.measure(model, caches(), texts: Self.texts, threads: 3) == results)
    }

    /// More tokens than a chunk of a prompt has, and every range of distances.
    @Test("a long text under a policy whose positions are known")
    func longText() throws {
        var shape = CalibratorTests.shape("llama", queryHeads: 2, kvHeads: 2)
        (shape.layers, shape.headDimension, shape.context) = (1, 4, 2048)
        let model = try Model(contentsOf: TestModels.url(shape))
        let text = Calibrator.Text(TestModels.tokens(1100, vocabulary: 64, seed: 5), answer: 1080)
        let result = try AttentionRecall.measure(
            model, caches(["streaming:capacity=300,sinks=4"]), texts: [text], threads: 2)[0]
        let weights = try ReferenceDecoder(shape, model.url).firstWeights(of: text.tokens, head: 1, from: 1080)
        var expected = Expected()
        for query in 1080..<1100 {
            let held = Set(0..<4).union(query - 295...query)
            expected.add(weights[query - 1080], held: held, entries: 300, seen: query + 1)
        }
        let head = try #require(result.heads.first { $0.head == 1 })
        #expect(head.entries == 300 && head.shares.attention.allSatisfy { $0 > 0 })
        expectClose(head.shares.attention, expected.attention, 20, "attention")
        expectClose(head.shares.kept, expected.kept, 20, "kept")
        expectClose(head.shares.best, expected.best, 20, "best")
        expectClose(head.shares.random, expected.random, 20, "random")
    }

    @Test("texts without a prompt or a step, and unknown tokens are refused")
    func refusals() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        for (text, kind) in [
            (Calibrator.Text([1, 2, 3]), CacheError.Kind.emptyPrompt), (.init([1, 2, 3], answer: 3), .emptyPrompt),
            (.init([1, 2, 64], answer: 2), .invalidToken), (.init([64, 2, 3], answer: 1), .invalidToken),
        ] {
            let error = #expect(throws: CacheError.self) {
                try AttentionRecall.measure(model, caches(["full"]), texts: [text], threads: 1)
            }
            #expect(error?.kind == kind)
        }
        let none = #expect(throws: CacheError.self) { try AttentionRecall.measure(model, caches(["full"]), texts: []) }
        #expect(none?.kind == .emptyPrompt)
    }
}
