import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Sequences that go on beyond the trained context.
@Suite struct EndlessTests {
    /// A model whose trained context is short.
    static func model(_ architecture: String = "llama", context: Int = 64) throws -> Model {
        var shape = TestModels.shape(architecture)
        shape.context = context
        if architecture == "gemma3" { shape.slidingWindow = 20 }
        return try TestCalibrations.model(shape)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let policy: String
        var architecture = "llama"
        var attention = CacheOptions.AttentionPath.fused
        var type = CacheType.f32
        var testDescription: String { "\(policy) \(architecture) \(attention) \(type)" }

        func options(_ positions: CacheOptions.PositionLimit = .trained) throws -> CacheOptions {
            CacheOptions(
                policy: try PolicyRegistry.standard.policy(policy), elementType: type, attention: attention,
                positions: positions)
        }
    }

    static let policies = [
        "streaming:capacity=24,sinks=2", "morphkv:capacity=24,window=6", "morphkv:capacity=24,window=6,fusion=max",
        "h2o:capacity=24,window=6", "tova:capacity=24", "keydiff:capacity=24,window=6", "random:capacity=24,window=6",
        "augur:capacity=16,window=6", "morphkv:capacity=20,window=6,evictAfter=1.5",
        "morphkv:capacity=24,window=6,normalization=candidates",
    ]
    static let cases =
        policies.flatMap { policy in
            [
                Case(policy: policy), Case(policy: policy, architecture: "gemma3"),
                Case(policy: policy, attention: .graph),
            ]
        } + [
            Case(policy: "h2o:capacity=20,window=6,budgets=head"), Case(policy: policies[1], architecture: "qwen3"),
            Case(policy: policies[1], architecture: "phi3"), Case(policy: policies[1], architecture: "smollm3"),
            Case(policy: policies[1], architecture: "mistral3"), Case(policy: policies[1], type: .f16),
            Case(policy: policies[1], type: .bf16), Case(policy: policies[1], attention: .graph, type: .q8_0),
        ]

    /// Where the rule says that keys are, worked out from the positions that are held.
    private struct Expected {
        let floor: PositionFloor
        var level = 0
        /// The position that each entry's key is rotated to: `[layer][kvHead][position]`.
        var at: [[[Int: Int]]]

        mutating func prepare(_ held: [[[Int]]], for tokens: Int, seen: Int, moves: [Bool]) {
            let due = level == 0 ? floor.start : floor.limit
            guard seen + tokens - level > due else { return }
            level = seen + tokens - 1 - floor.limit + floor.stride
            for layer in held.indices where moves[layer] {
                for head in held[layer].indices {
                    for (rank, position) in held[layer][head].enumerated() {
                        guard at[layer][head][position]! < level + rank else { break }
                        at[layer][head][position] = level + rank
                    }
                }
            }
        }
    }

    /// The keys that a cache holds by layer, head and position, as floats.
    private static func keys(_ cache: KVCache) -> [[[Int: [Float]]]] {
        cache.parts.map { parts in
            var heads = Array(repeating: [Int: [Float]](), count: parts[0].plan.modelHeads)
            for part in parts {
                let (all, d) = (part.keys.floats(), part.plan.geometry.headDimension)
                for (own, entries) in part.entries(seen: cache.seen).enumerated() {
                    let head = part.plan.heads?[own] ?? own
                    for entry in entries {
                        let start = (own * part.slots + entry.slot) * d
                        heads[head][entry.position] = Array(all[start..<start + d])
                    }
                }
            }
            return heads
        }
    }

    @Test("every key is what it was when it was written, turned to where the rule says", arguments: cases)
    func keysAreWhereTheyBelong(_ test: Case) throws {
        let model = try Self.model(test.architecture)
        let engine = try Engine(model, test.options(), threads: 1)
        let floor = try #require(engine.cache.floor)
        let moves = engine.cache.parts.map { $0[0].plan.floor != nil }
        let heads = model.description.kvHeads
        var expected = Expected(
            floor: floor, at: moves.map { _ in Array(repeating: [:], count: heads) })
        let frequencies = model.description.layers.map { layer in
            layer.rope.map { RopeFrequencies($0, factors: nil) }
        }
        var written: [[[Int: (key: [Float], base: Int)]]] = moves.map { _ in Array(repeating: [:], count: heads) }
        // Prompts in the beginning, in the middle and across the limit, then token by token.
        let feeds = [
            Array(repeating: 30, count: 1), Array(repeating: 1, count: 50), [7], Array(repeating: 1, count: 70),
        ]
        var number: UInt64 = 0
        for count in feeds.joined() {
            number += 1
            expected.prepare(engine.cache.positions, for: count, seen: engine.seen, moves: moves)
            let seen = engine.seen
            let tokens = TestModels.tokens(count, seed: number)
            if count == 1 { try engine.decode(tokens[0]) } else { try engine.prefill(tokens) }
            let keys = Self.keys(engine.cache)
            let base = engine.cache.frame.base
            for layer in keys.indices {
                for head in 0..<heads {
                    for (position, key) in keys[layer][head] {
                        if position >= seen {
                            written[layer][head][position] = (key, base)
                            expected.at[layer][head][position] = position
                        }
                        let original = written[layer][head][position]!
                        let target = expected.at[layer][head][position]! - base
                        // Layers that know no positions have nothing to turn.
                        let wanted =
                            frequencies[layer].map {
                                let turn = $0.turn(by: target - (position - original.base))
                                return Self.turned(original.key, turn, $0.pairing)
                            } ?? original.key
                        let scale = wanted.map(abs).max()!
                        let error = zip(key, wanted).map { abs($0 - $1) }.max()!
                        #expect(error <= Self.tolerance(test.type) * scale, "\(position) to \(target)")
                    }
                }
            }
        }
        #expect(expected.level > 0 && engine.cache.frame.floor == expected.level)
    }

    /// What a few dozen turns in place may have rounded.
    private static func tolerance(_ type: CacheType) -> Float {
        switch type {
        case .f32: 1e-4
        case .f16: 5e-3
        case .bf16: 5e-2
        case .q8_0: 8e-2
        case .q4_0, .q4_1, .q5_0, .q5_1: 0  // not moved
        }
    }

    static func turned(
        _ key: [Float], _ turn: (cosines: [Float], sines: [Float]), _ pairing: RopeParameters.Pairing
    ) -> [Float] {
        var result = key
        let pairs = turn.cosines.count
        for pair in 0..<pairs {
            let (i, j) = pairing == .halves ? (pair, pair + pairs) : (2 * pair, 2 * pair + 1)
            result[i] = key[i] * turn.cosines[pair] - key[j] * turn.sines[pair]
            result[j] = key[i] * turn.sines[pair] + key[j] * turn.cosines[pair]
        }
        return result
    }

    @Test("up to the end of the trained context nothing differs, bit for bit", arguments: cases + KeyPlacesTests.cases)
    func nothingDiffersBelow(_ test: Case) throws {
        let model = try Self.model(test.architecture)
        let (moving, still) = (
            try Engine(model, test.options(), threads: 1), try Engine(model, test.options(.none), threads: 1)
        )
        for engine in [moving, still] { try engine.prefill(TestModels.tokens(30, seed: 1)) }
        for (index, token) in TestModels.tokens(40, seed: 2).enumerated() {
            #expect((moving.logits == still.logits) == (index <= 34), "\(index)")
            try moving.decode(token)
            try still.decode(token)
        }
    }

    @Test(
        "the window's sums are those of its queries over the keys as they are",
        arguments: [CacheOptions.AttentionPath.fused, .graph])
    func windowSumsStayRight(_ attention: CacheOptions.AttentionPath) throws {
        let model = try Self.model()
        let test = Case(policy: "morphkv:capacity=24,window=6", attention: attention)
        let engine = try Engine(model, test.options(), threads: 1)
        try engine.prefill(TestModels.tokens(40, seed: 1))
        let d = model.description
        for token in TestModels.tokens(150, seed: 2) {
            try engine.decode(token)
            for layer in engine.cache.layers {
                let scores = try #require(layer.scores)
                let tensors = Dictionary(uniqueKeysWithValues: scores.tensors.map { ($0.name, $0.tensor.floats()) })
                let (keys, ring) = (layer.keys.floats(), tensors["queries"]!)
                let sums = zip(tensors["fresh"]!, tensors["expiring"]!).map { $0 + $1 }
                for head in 0..<d.kvHeads {
                    for slot in 0..<layer.slots {
                        let position = Int(tensors["positions"]![head * layer.slots + slot])
                        var sum: Float = 0
                        for query in max(position, engine.seen - 6)..<engine.seen {
                            for member in 0..<d.groupSize {
                                let index = head * d.groupSize + member
                                let row = (query % 6 * d.queryHeads + index) * d.headDimension
                                let key = (head * layer.slots + slot) * d.headDimension
                                let product = (0..<d.headDimension).reduce(Float(0)) {
                                    $0 + ring[row + $1] * keys[key + $1]
                                }
                                sum += exp(
                                    product * d.attentionScale
                                        - tensors["normalizers"]![query % 6 * d.queryHeads + index])
                            }
                        }
                        #expect(abs(sum - sums[head * layer.slots + slot]) < 1e-4)
                    }
                }
            }
        }
        #expect(engine.cache.frame.floor > 100)
    }

    @Test("kernel and graph agree far beyond the trained context", arguments: policies)
    func kernelAndGraphAgree(_ policy: String) throws {
        let model = try Self.model("gemma3")
        let engines = try [CacheOptions.AttentionPath.fused, .graph].map {
            try Engine(model, Case(policy: policy, attention: $0).options(), threads: 1)
        }
        for engine in engines { try engine.prefill(TestModels.tokens(100, seed: 1)) }
        for token in TestModels.tokens(200, seed: 2) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[0].logits, engines[1].logits, 1e-4)
        }
        #expect(engines[0].positions == engines[1].positions)
    }

    @Test("positions are counted anew now and then, which changes nothing but rounding", arguments: policies)
    func framesFollow(_ policy: String) throws {
        let model = try Self.model("gemma3")
        let engines = try (0..<2).map { _ in try Engine(model, Case(policy: policy).options(), threads: 1) }
        let mover = KeyMover(model, on: engines[1].backend, allocator: try GraphAllocator(on: engines[1].backend))
        for engine in engines { try engine.prefill(TestModels.tokens(100, seed: 1)) }
        for (index, token) in TestModels.tokens(150, seed: 2).enumerated() {
            if index % 40 == 20 {
                let floor = engines[1].cache.frame.floor
                try mover.move(engines[1].cache, to: RotaryFrame(floor: floor, base: floor))
            }
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, 1e-4)
        }
        #expect(engines[1].cache.frame.base > 0 && engines[0].cache.frame.base == 0)
        #expect(engines[1].positions == engines[0].positions)
    }
}
