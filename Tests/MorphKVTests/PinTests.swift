import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Pinned positions stay whatever comes, under every policy of constant size; everything else is as the rule says.
@Suite struct PinTests {
    static let capacity = 24
    static let policies =
        FusedAttentionTests.policies.filter { !["full", "snapkv", "pyramidkv"].contains($0.prefix { $0 != ":" }) }

    static func engine(
        _ policy: String, _ attention: CacheOptions.AttentionPath = .fused,
        prefill: CacheOptions.PrefillMode = .exact, model: Model? = nil, pins: Bool = true
    ) throws -> Engine {
        let options = CacheOptions(
            policy: try PolicyRegistry.standard.policy(policy), elementType: .f32, attention: attention,
            prefill: prefill, pins: pins)
        return try Engine(model ?? TestContexts.model(), options, threads: 1)
    }

    /// So many positions in two ranges, the second one's distance from the first given.
    static func pins(_ count: Int, from first: Int, apart distance: Int = 9) -> PinnedPositions {
        let half = (count + 1) / 2
        return PinnedPositions([
            first..<first + half, first + half + distance..<first + distance + count,
        ])
    }

    static func room(_ engine: Engine) throws -> Int { try #require(engine.cache.pinRoom.tokens) }

    /// Whether every head holds the pins that were reached.
    private func isHeld(_ pins: PinnedPositions, by engine: Engine) -> Bool {
        let reached = Set(pins.clamped(to: 0..<engine.seen).ranges.joined())
        let most = engine.statistics.slots
        return engine.positions.joined().allSatisfy { reached.isSubset(of: $0) && $0.count <= most }
    }

    struct Way: Sendable, CustomTestStringConvertible {
        let attention: CacheOptions.AttentionPath
        let prefill: CacheOptions.PrefillMode
        var testDescription: String { "\(attention.rawValue) \(prefill)" }
    }

    static let ways = [
        Way(attention: .fused, prefill: .exact), Way(attention: .graph, prefill: .exact),
        Way(attention: .fused, prefill: .chunked(7)),
    ]

    @Test("pins of a first and of a second prompt are held at every step", arguments: policies, ways)
    func pinsStay(_ policy: String, _ way: Way) throws {
        let engine = try Self.engine(policy, way.attention, prefill: way.prefill)
        let room = try Self.room(engine)
        let first = Self.pins(max(1, room - room / 3), from: 5)
        let second = Self.pins(room - first.count, from: 65)
        try engine.prefill(TestModels.tokens(40, seed: 1), pinning: first)
        #expect(isHeld(first, by: engine) && engine.statistics.pinned == first.count)
        for token in TestModels.tokens(20, seed: 2) {
            try engine.decode(token)
            #expect(isHeld(first, by: engine))
        }
        try engine.prefill(TestModels.tokens(30, seed: 3), pinning: second.shifted(by: -60))
        #expect(engine.statistics.pinned == room)
        for token in TestModels.tokens(20, seed: 4) {
            #expect(isHeld(first.union(second), by: engine))
            try engine.decode(token)
        }
        // What is cleared is forgotten: the same as if nothing had been pinned.
        engine.clear()
        let fresh = try Self.engine(policy, way.attention, prefill: way.prefill)
        for engine in [engine, fresh] {
            try engine.prefill(TestModels.tokens(40, seed: 1))
            for token in TestModels.tokens(5, seed: 2) { try engine.decode(token) }
        }
        #expect(engine.positions == fresh.positions && engine.logits == fresh.logits && engine.statistics.pinned == 0)
    }

    @Test(
        "the kernel keeps what the graph keeps and gives the same logits", arguments: policies, ["llama", "gemma3"])
    func equalsTheGraph(_ policy: String, architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let engines = try [CacheOptions.AttentionPath.graph, .fused].map { try Self.engine(policy, $0, model: model) }
        let room = try Self.room(engines[0])
        let first = Self.pins(max(1, room / 2), from: 3)
        for engine in engines { try engine.prefill(TestModels.tokens(37, seed: 5), pinning: first) }
        // Beyond the sliding window, where there is one.
        for token in TestModels.tokens(architecture == "gemma3" ? 80 : 30, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, 2e-4)
            #expect(engines[1].positions == engines[0].positions)
        }
        for engine in engines {
            try engine.prefill(TestModels.tokens(9, seed: 7), pinning: Self.pins(room - first.count, from: 1, apart: 0))
        }
        for token in TestModels.tokens(9, seed: 6) { for engine in engines { try engine.decode(token) } }
        expectClose(engines[1].logits, engines[0].logits, 2e-4)
        #expect(engines[1].positions == engines[0].positions)
    }

    @Test(
        "while an answer is written the entry goes that has the lowest score of those that are free to go",
        arguments: policies.filter { !$0.contains("evictAfter") && !$0.contains("keydiff") },
        ways.filter { $0.prefill == .exact })
    func victims(_ policy: String, _ way: Way) throws {
        let engine = try Self.engine(policy, way.attention)
        let pins = Self.pins(max(1, try Self.room(engine) * 2 / 3), from: 6)
        try engine.prefill(TestModels.tokens(35, seed: 8), pinning: pins)
        for token in TestModels.tokens(30, seed: 9) {
            let expected = engine.cache.parts.map { $0.map { Self.victims($0, pins, at: engine.seen) } }
            let before = engine.positions
            try engine.decode(token)
            for (layer, parts) in expected.enumerated() {
                let gone = zip(before[layer], engine.positions[layer]).map { Set($0).subtracting($1) }
                #expect(parts.count > 1 || gone == parts[0])
            }
        }
    }

    /// For each KV head the entry that goes, as the rule is defined.
    private static func victims(_ layer: LayerCache, _ pins: PinnedPositions, at next: Int) -> [Set<Int>] {
        guard let scores = layer.scores, layer.used == layer.slots else {
            return Array(repeating: [], count: layer.plan.geometry.kvHeads)
        }
        let rule = scores.rule
        let table = scores.state.table(scores.entries(), seen: next, origin: layer.origin)
        let others = pins.ranges.joined().count { $0 >= layer.promptEnd }
        let floor = min(rule.promptFloor, rule.capacity - rule.window - rule.sinks - 1 - others)
        let isFree = table.positions.map { held in
            let keepsPrompt = held.count { $0 < layer.promptEnd } <= floor
            return held.map { position in
                position < next - rule.window && position >= rule.sinks && !pins.ranges.joined().contains(position)
                    && !(keepsPrompt && position < layer.promptEnd)
            }
        }
        var all = table.positions.indices.map {
            scores.state.scores(of: $0, in: table, isCandidate: isFree[$0], next: next)
        }
        if rule.sharesChoice {
            all = all.map { _ in all[0].indices.map { entry in all.reduce(Float(0)) { $0 + $1[entry] } } }
        }
        return table.positions.indices.map { head in
            let free = table.positions[head].indices.filter { isFree[head][$0] }
            let victim = free.min { (all[head][$0], -$0) < (all[head][$1], -$1) }!
            return [table.positions[head][victim]]
        }
    }

    @Test("streaming holds its sinks, its pins and what is recent, exactly")
    func streaming() throws {
        for way in Self.ways {
            let engine = try Self.engine("streaming:capacity=24,sinks=2", way.attention, prefill: way.prefill)
            try engine.prefill(TestModels.tokens(40, seed: 1), pinning: PinnedPositions([10..<15, 20..<22]))
            for token in TestModels.tokens(60, seed: 2) { try engine.decode(token) }
            let expected = [0, 1] + Array(10..<15) + [20, 21] + Array(85..<100)
            #expect(engine.positions.joined().allSatisfy { $0 == expected })
        }
    }

    @Test(
        "pinned first tokens are sinks",
        arguments: ["morphkv:capacity=24,window=6", "morphkv:capacity=24,window=6,fusion=max", "streaming:capacity=24"])
    func prefixesAreSinks(_ policy: String) throws {
        for way in Self.ways {
            let sinks = try Self.engine(policy + ",sinks=7", way.attention, prefill: way.prefill)
            let pinned = try Self.engine(policy + ",sinks=0", way.attention, prefill: way.prefill)
            try sinks.prefill(TestModels.tokens(50, seed: 1))
            try pinned.prefill(TestModels.tokens(50, seed: 1), pinning: PinnedPositions([0..<7]))
            for token in TestModels.tokens(40, seed: 2) {
                for engine in [sinks, pinned] { try engine.decode(token) }
                #expect(pinned.positions == sinks.positions && pinned.logits == sinks.logits)
            }
        }
    }

    @Test(
        "without pins a cache for pins keeps what any other keeps",
        arguments: policies.filter { $0.hasPrefix("streaming") || $0.contains("prompt=") })
    func nothingPinned(_ policy: String) throws {
        for way in Self.ways {
            let (with, without) = (
                try Self.engine(policy, way.attention, prefill: way.prefill),
                try Self.engine(policy, way.attention, prefill: way.prefill, pins: false)
            )
            for engine in [with, without] { try engine.prefill(TestModels.tokens(37, seed: 5)) }
            for token in TestModels.tokens(20, seed: 6) {
                for engine in [with, without] { try engine.decode(token) }
                #expect(with.positions == without.positions)
            }
            // Between parts of a prompt a rule with scores holds one entry less, as always.
            if way.prefill == .exact { expectClose(with.logits, without.logits, 2e-4) }
        }
    }

    @Test("a choice among many entries is the one that drops them one after the other")
    func choices() throws {
        var random = SplitMix64(seed: 4)
        func number(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(random.next() % UInt64(range.count)) }
        let state = try #require(try Self.engine("h2o:capacity=24,window=5").cache.layers[0].scores?.state)
        for _ in 0..<200 {
            var rule = ScoringRule(
                capacity: number(8...30), window: number(0...4), sinks: number(0...2),
                accumulation: .cumulative(decay: 1))
            let room = rule.capacity - rule.window - rule.sinks - 1
            rule.promptFloor = number(0...room)
            let (next, promptEnd) = (rule.capacity + number(1...40), number(0...40))
            let pinned = number(0...room)
            let pins = Self.pins(pinned, from: number(0...max(0, next - pinned - 5)), apart: number(0...4))
            var table = ScoreTable(positions: [Array(0..<next)])
            table[0] = [(0..<next).map { _ in Float(random.next() >> 40) }]
            let kept = table.keep(
                rule.capacity - 1, rule: rule, by: state, next: next, promptEnd: promptEnd, pins: pins, sight: 0)
            #expect(kept[0] == Self.dropped(to: rule, pins, next: next, promptEnd: promptEnd, scores: table[0][0]))
        }
    }

    private static func dropped(
        to rule: ScoringRule, _ pins: PinnedPositions, next: Int, promptEnd: Int, scores: [Float]
    ) -> [Int] {
        let pinned = Set(pins.ranges.joined())
        let others = pinned.count { $0 >= promptEnd && $0 < next }
        let floor = min(rule.promptFloor, rule.capacity - rule.window - rule.sinks - 1 - others)
        var held = Array(0..<next)
        while held.count >= rule.capacity {
            let keepsPrompt = held.count { $0 < promptEnd } <= floor
            let free = held.filter {
                $0 < next - rule.window && $0 >= rule.sinks && !pinned.contains($0) && !(keepsPrompt && $0 < promptEnd)
            }
            let victim = free.min { (scores[$0], -$0) < (scores[$1], -$1) }!
            held.removeAll { $0 == victim }
        }
        return held
    }
}
