import CAttention
import Foundation
import Ggml
import Testing

@testable import MorphKV

/// The share of the slots that a sequence's first prompt is sure of.
@Suite struct PromptFloorTests {
    static let policies = [
        "streaming:sinks=2", "h2o:window=6", "tova", "tova:heads=layer", "morphkv:window=6",
        "morphkv:window=6,evictAfter=1.5", "morphkv:reference,window=6", "keydiff:window=6", "random:window=6",
    ]
    static let capacity = 24
    static let floor = 12

    private func engine(
        _ policy: String, _ attention: CacheOptions.AttentionPath = .fused, prefill: CacheOptions.PrefillMode = .exact
    ) throws -> Engine {
        let text = policy + (policy.contains(":") ? "," : ":") + "capacity=\(Self.capacity),prompt=0.5"
        let options = CacheOptions(
            policy: try PolicyRegistry.standard.policy(text), elementType: .f32, attention: attention,
            prefill: prefill)
        return try Engine(TestContexts.model(), options, threads: 1)
    }

    /// How many of the first positions the head holds that has the fewest of them.
    private func fewest(of prompt: Int, _ engine: Engine) -> Int {
        engine.positions.joined().map { $0.count { $0 < prompt } }.min()!
    }

    @Test(
        "a prompt that fits its share stays whole, a longer one keeps its share, whatever follows",
        arguments: policies, [5, 12, 40])
    func promptStays(_ policy: String, _ length: Int) throws {
        for (attention, prefill) in [
            (.fused, .exact), (.graph, .exact), (.fused, .chunked(7)),
        ] as [(CacheOptions.AttentionPath, CacheOptions.PrefillMode)] {
            let engine = try engine(policy, attention, prefill: prefill)
            let sure = min(length, Self.floor)
            try engine.prefill(TestModels.tokens(length, seed: 1))
            for token in TestModels.tokens(60, seed: 2) {
                try engine.decode(token)
                #expect(fewest(of: length, engine) >= sure)
            }
            // A second prompt is not the first.
            try engine.prefill(TestModels.tokens(50, seed: 3))
            #expect(fewest(of: length, engine) >= sure)
            for token in TestModels.tokens(30, seed: 4) { try engine.decode(token) }
            #expect(fewest(of: length, engine) >= sure)
            #expect(engine.positions.joined().allSatisfy { $0.count <= engine.cache.layers[0].slots })
            engine.clear()
            try engine.prefill(TestModels.tokens(3, seed: 5))
            for token in TestModels.tokens(60, seed: 6) { try engine.decode(token) }
            #expect(fewest(of: 3, engine) == 3)
        }
    }

    @Test("streaming keeps its sinks and the prompt's last tokens up to the floor, then what is recent")
    func streaming() throws {
        for attention in [CacheOptions.AttentionPath.fused, .graph] {
            let engine = try engine("streaming:sinks=2", attention)
            try engine.prefill(TestModels.tokens(40, seed: 1))
            for token in TestModels.tokens(60, seed: 2) { try engine.decode(token) }
            let expected = [0, 1] + Array(30..<40) + Array(88..<100)
            #expect(engine.positions.joined().allSatisfy { $0 == expected })
        }
    }

    @Test("what is random follows its definition at every step", arguments: [0.0, 0.5, 1], [7, 40])
    func random(_ share: Double, _ length: Int) throws {
        let policy = RandomPolicy(capacity: Self.capacity, window: 6, seed: 9, prompt: share)
        let floor = [0, 12, 17][Int(share * 2)]
        for attention in [CacheOptions.AttentionPath.fused, .graph] {
            let engine = try Engine(
                TestContexts.model(), CacheOptions(policy: policy, elementType: .f32, attention: attention), threads: 1)
            try engine.prefill(TestModels.tokens(length, seed: 1))
            var held = engine.positions.enumerated().map { layer, heads in
                heads.indices.map { SampledHead(seed: 9, layer: layer, head: $0, prompt: length, floor: floor) }
            }
            for (step, token) in TestModels.tokens(80, seed: 2).enumerated() {
                try engine.decode(token)
                for layer in held.indices {
                    for head in held[layer].indices {
                        held[layer][head].admit(length + step)
                        #expect(engine.positions[layer][head] == held[layer][head].positions.sorted())
                    }
                }
            }
            #expect(Set(engine.positions.joined()).count == engine.positions.joined().count)
        }
    }

    /// The entries of one head under the policy `random`, with 24 slots and a window of 6.
    private struct SampledHead {
        let seed: UInt32
        let layer, head, prompt, floor: Int
        var positions: Set<Int>

        init(seed: UInt32, layer: Int, head: Int, prompt: Int, floor: Int) {
            (self.seed, self.layer, self.head, self.prompt, self.floor) = (seed, layer, head, prompt, floor)
            positions = Set(0..<prompt)
            while positions.count >= capacity { drop(before: prompt) }
        }

        mutating func admit(_ position: Int) {
            if positions.count == capacity { drop(before: position) }
            positions.insert(position)
        }

        private mutating func drop(before position: Int) {
            let keepsPrompt = positions.count { $0 < prompt } <= floor
            let open = positions.filter { $0 < position - 6 && !(keepsPrompt && $0 < prompt) }
            positions.remove(open.min { score($0) < score($1) }!)
        }

        private func score(_ position: Int) -> Float {
            attention_random(seed &+ UInt32(layer) &* 0x9E37_79B9, Int32(head), Int64(position))
        }
    }

    @Test("another seed keeps others")
    func seeds() throws {
        let kept = try [0, 1].map { (seed: UInt32) in
            let policy = RandomPolicy(capacity: Self.capacity, window: 6, seed: seed)
            let engine = try Engine(TestContexts.model(), CacheOptions(policy: policy), threads: 1)
            for token in TestModels.tokens(80, seed: 2) { try engine.decode(token) }
            return engine.positions
        }
        #expect(kept[0] != kept[1])
    }

    @Test("a context does not count as prompt, the question after it does")
    func afterContexts() throws {
        let context = try TestContexts.make(TestContexts.model())
        let policy = H2OPolicy(capacity: Self.capacity, window: 6, prompt: 0.5)
        let engine = try Engine(
            context.model, CacheOptions(policy: policy, elementType: .f32), threads: 1, reserve: 0,
            context: context.cache)
        for _ in 0..<2 {
            let first = engine.seen
            try engine.prefill(TestModels.tokens(10, seed: 1))
            for token in TestModels.tokens(60, seed: 2) { try engine.decode(token) }
            #expect(engine.positions.joined().allSatisfy { Set(first..<first + 10).isSubset(of: $0) })
            engine.clear()
        }
    }

    @Test("the floor leaves room for the window, the sinks and one more, and no number is too large for that")
    func room() {
        func floor(_ share: Double, _ capacity: Int, _ window: Int, _ sinks: Int = 0) -> Int {
            ScoringRule(capacity: capacity, window: window, sinks: sinks, accumulation: .cumulative(decay: 1))
                .keeping(prompt: share).promptFloor
        }
        #expect(floor(0.5, 24, 6) == 12 && floor(1, 24, 6) == 17 && floor(1, 24, 6, 4) == 13)
        #expect(floor(0.99, 10, 0) == 9 && floor(0, 10, 0) == 0 && floor(1, 8, 8) == 0)
        for numbers in [(Int.max, 0, 0), (Int.max, Int.max, Int.max), (1, Int.max, Int.max)] {
            #expect(floor(1, numbers.0, numbers.1, numbers.2) >= 0)
        }
    }

    @Test("rules that cannot be are refused")
    func refusals() throws {
        for rule in [
            ScoringRule(capacity: 24, window: 6, accumulation: .cumulative(decay: 1), promptFloor: 18),
            ScoringRule(capacity: 24, window: 6, accumulation: .cumulative(decay: 1), promptFloor: -1),
            ScoringRule(capacity: 24, window: 6, accumulation: .keyDiff, evictAfter: 2),
        ] {
            #expect { try rule.validate() } throws: { ($0 as? CacheError)?.kind == .invalidPolicy }
        }
    }
}

private let capacity = PromptFloorTests.capacity
