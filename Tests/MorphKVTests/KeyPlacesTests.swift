import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Keys of few bits beyond the trained context: those that were moved stand in a frame of their own.
@Suite struct KeyPlacesTests {
    static let types: [CacheType] = [.q8_0, .q4_0, .q4_1, .q5_0, .q5_1]
    static let cases: [EndlessTests.Case] =
        types.map { EndlessTests.Case(policy: EndlessTests.policies[1], type: $0) }
        + [
            EndlessTests.policies[0], EndlessTests.policies[3], EndlessTests.policies[6], EndlessTests.policies[7],
            EndlessTests.policies[8], "h2o:capacity=20,window=6,budgets=head",
        ].map { EndlessTests.Case(policy: $0, type: .q8_0) }
        + ["gemma3", "phi3", "smollm3", "mistral3"].map {
            EndlessTests.Case(policy: EndlessTests.policies[1], architecture: $0, type: .q8_0)
        }

    /// What a few turns may have rounded, as a share of a key's largest number.
    private static func tolerance(_ type: CacheType) -> Float {
        switch type {
        case .q8_0: 0.03
        case .q5_0, .q5_1: 0.2
        default: 0.4
        }
    }

    /// An entry of a layer: where its key is rotated to in the frame that it stands in, and where that is seen.
    private struct Held {
        let position: Int
        let angle: Int
        let seenAt: Int
        let key: [Float]
    }

    private static func held(_ part: LayerCache, seen: Int, frame: RotaryFrame) -> [[Held]] {
        let (numbers, keys): ([Float], [Float]) = (part.places!.numbers.values(), part.keys.floats())
        let d = part.plan.geometry.headDimension
        return part.entries(seen: seen).enumerated().map { head, entries in
            entries.map { entry in
                let row = head * part.slots + entry.slot
                let place = Int(numbers[row]) - 1
                return Held(
                    position: entry.position, angle: place < 0 ? entry.position - frame.base : place,
                    seenAt: place < 0 ? entry.position : frame.floor + part.origin + place,
                    key: Array(keys[row * d..<(row + 1) * d]))
            }
        }
    }

    @Test("keys turn to their places and stay what they were, in order and closer than the limit", arguments: cases)
    func keysStayWhatTheyWere(_ test: EndlessTests.Case) throws {
        let model = try EndlessTests.model(test.architecture)
        let engine = try Engine(model, test.options(), threads: 1)
        let limit = try #require(engine.cache.floor).limit
        var written: [[Int]: (key: [Float], angle: Int)] = [:]
        var moved = 0
        let feeds = [
            Array(repeating: 30, count: 1), Array(repeating: 1, count: 60), [7, 40], Array(repeating: 1, count: 300),
        ]
        for (number, count) in feeds.joined().enumerated() {
            let tokens = TestModels.tokens(count, seed: UInt64(number))
            if count == 1 { try engine.decode(tokens[0]) } else { try engine.prefill(tokens) }
            for (index, parts) in engine.cache.parts.enumerated() {
                for (number, part) in parts.enumerated() where part.places != nil {
                    let rope = try #require(model.description.layers[index].rope)
                    let frequencies = RopeFrequencies(rope, factors: nil)
                    let heads = Self.held(part, seen: engine.seen, frame: engine.cache.frame)
                    for (head, entries) in heads.enumerated() {
                        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.seenAt < $1.seenAt })
                        #expect(entries.allSatisfy { $0.seenAt >= $0.position })
                        if engine.cache.frame.floor > 0 { #expect(engine.seen - entries[0].seenAt <= limit) }
                        for entry in entries {
                            let name = [index, number, head, entry.position]
                            guard let first = written[name] else {
                                written[name] = (entry.key, entry.angle)
                                continue
                            }
                            moved += entry.angle == first.angle ? 0 : 1
                            let turn = frequencies.turn(by: entry.angle - first.angle)
                            let wanted = EndlessTests.turned(first.key, turn, frequencies.pairing)
                            let error = zip(entry.key, wanted).map { abs($0 - $1) }.max()!
                            #expect(error <= Self.tolerance(test.type) * wanted.map(abs).max()!, "\(name)")
                        }
                    }
                }
            }
        }
        // Sinks that stream have their places from the beginning.
        #expect(test.policy.hasPrefix("streaming") || moved > 1000)
        #expect(engine.cache.frame.floor > 300)
    }

    @Test("the window's sums are those of its queries, whichever frame keys stand in", arguments: types)
    func windowSumsStayRight(_ type: CacheType) throws {
        let model = try EndlessTests.model("gemma3")
        let engine = try Engine(
            model, EndlessTests.Case(policy: EndlessTests.policies[1], type: type).options(), threads: 1)
        try engine.prefill(TestModels.tokens(40, seed: 1))
        func sums() -> [[Float]] {
            engine.cache.layers.compactMap { layer in
                layer.scores.map { $0.state.table($0.entries(), seen: engine.seen, origin: 0)[0].flatMap { $0 } }
            }
        }
        for (index, token) in TestModels.tokens(150, seed: 2).enumerated() {
            try engine.decode(token)
            guard index > 30, index % 7 == 0 else { continue }
            // Moving nowhere lets a graph sum them anew.
            let before = sums()
            try engine.mover.move(engine.cache, to: engine.cache.frame)
            // The kernel rounds queries to 8 bits for such keys, the graph does not.
            for (one, other) in zip(before, sums()) { expectClose(one, other, 0.02) }
        }
        #expect(engine.cache.frame.floor > 100)
    }

    @Test("thousands of tokens later logits are as near to those of f32 keys as in the beginning", arguments: types)
    func errorsDoNotGrow(_ type: CacheType) throws {
        let model = try EndlessTests.model()
        func engine(_ type: CacheType) throws -> Engine {
            var options = try EndlessTests.Case(policy: "streaming:capacity=32,sinks=12", type: .f32).options()
            options.keyType = type
            return try Engine(model, options, threads: 1)
        }
        let (few, exact) = (try engine(type), try engine(.f32))
        var errors: [Float] = []
        for token in TestModels.tokens(2000, seed: 3) {
            for engine in [few, exact] { try engine.decode(token) }
            errors.append(zip(few.logits, exact.logits).map { abs($0 - $1) }.max()!)
        }
        func mean(_ range: Range<Int>) -> Float { errors[range].reduce(0, +) / Float(range.count) }
        #expect(mean(1800..<2000) < 2.5 * mean(20..<60))
        #expect(few.cache.frame.floor > 1900)
    }

    @Test("a session that was saved beyond the trained context continues bit for bit", arguments: types)
    func savedSessionsContinue(_ type: CacheType) async throws {
        let model = try EndlessTests.model("gemma3")
        let test = EndlessTests.Case(policy: EndlessTests.policies[1], type: type)
        let session = try Session(model, cache: test.options(), threads: 1)
        let options = GenerationOptions(maxTokens: 90, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: options))
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url)
        let loaded = try Session(contentsOf: url, model: model, threads: 1)
        let prompt = TestModels.tokens(70, seed: 4)
        let rest = try await SessionTests.tokens(session.generate(tokens: prompt, options: options))
        #expect(try await SessionTests.tokens(loaded.generate(tokens: prompt, options: options)) == rest)
        #expect(await loaded.state == session.state)
    }

    @Test(
        "what was moved goes back to where it was written, before others go on from it",
        arguments: [CacheType.q8_0, .q5_1])
    func copiesHaveKeysWhereTheyWereWritten(_ type: CacheType) throws {
        let model = try EndlessTests.model()
        var test = EndlessTests.Case(policy: "streaming:capacity=24,sinks=4", type: type)
        let engine = try Engine(model, test.options(), threads: 1)
        test.type = .f32
        let exact = try Engine(model, test.options(.none), threads: 1)
        for token in TestModels.tokens(90, seed: 5) { for engine in [engine, exact] { try engine.decode(token) } }
        #expect(engine.cache.frame.floor > 0)
        try engine.mover.move(engine.cache, to: RotaryFrame())
        #expect(engine.cache.layers.allSatisfy { $0.places!.numbers.values().allSatisfy { (x: Float) in x == 0 } })
        // The first layer's keys depend on tokens and positions only.
        let d = model.description.headDimension
        let (found, wanted) = (engine.cache.layers[0].keys.floats(), exact.cache.layers[0].keys.floats())
        for start in stride(from: 0, to: wanted.count, by: d) {
            let most = wanted[start..<start + d].map(abs).max()!
            let error = (start..<start + d).map { abs(found[$0] - wanted[$0]) }.max()!
            #expect(error <= Self.tolerance(type) * most)
        }
    }

    @Test("graphs, and policies that compare keys, move q8_0 in place; fewer bits are refused or left as they were")
    func whatCannotBeMoved() throws {
        let model = try EndlessTests.model()
        let keydiff = try PolicyRegistry.standard.policy("keydiff:capacity=24,window=6")
        func engine(_ type: CacheType, _ positions: CacheOptions.PositionLimit) throws -> Engine {
            try Engine(model, CacheOptions(policy: keydiff, elementType: type, positions: positions), threads: 1)
        }
        let inPlace = try engine(.q8_0, .trained)
        #expect(inPlace.cache.floor != nil && inPlace.cache.layers.allSatisfy { $0.places == nil })
        #expect(try engine(.q4_0, .trained).cache.floor == nil)
        let error = #expect(throws: CacheError.self) { try engine(.q4_0, .tokens(40)) }
        #expect(error?.kind == .positions && error?.description.contains("q4_0") == true)
        let options = CacheOptions(policy: MorphKVPolicy(capacity: 24, window: 6), elementType: .q4_0)
        let plans = try [CacheOptions.PositionLimit.none, .trained].map { limit in
            var options = options
            options.positions = limit
            return try CachePlan(model, options, tokens: 24)
        }
        // A number per slot and the turn of each layer are announced.
        #expect(plans[1].bytes - plans[0].bytes >= 2 * (4 * 24 * 2 + 4 * 32))
    }
}
