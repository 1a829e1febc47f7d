import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Every registered policy through the properties that any cache must have; a new registry row is in it by itself.
@Suite struct PolicyMatrixTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let policy: String
        let queryHeads: Int
        let kvHeads: Int
        let type: CacheType
        /// Where graphs attend; nil for the CPU's kernel.
        var device: TestDevice?

        var testDescription: String {
            "\(policy) \(queryHeads)/\(kvHeads) \(type)" + (device.map { " by graph on \($0.description)" } ?? "")
        }

        /// The policy with that capacity and otherwise its defaults, but a window that fits.
        ///
        /// - Parameter prompt: the first prompt's share; the default if nil.
        func make(capacity: Int, prompt: Double? = nil) throws -> any CachePolicy {
            let descriptor = try #require(PolicyRegistry.standard.descriptors.first { $0.name == policy })
            var values = [
                "capacity": "\(capacity)", "promptCapacity": "\(capacity)", "window": "6", "sinks": "2",
                "ratio": capacity >= 200 ? "1" : "0.3", "repeatFirst": "7+8+9", "repeatNext": "10+11", "postfix": "12",
            ]
            if let prompt { values["prompt"] = "\(prompt)" }
            let known = descriptor.parameters.map(\.name)
            return try PolicyRegistry.standard.policy(policy, values.filter { known.contains($0.key) })
        }

        func model() throws -> Model {
            let shape = TestModels.shape("llama", queryHeads: queryHeads, kvHeads: kvHeads)
            return try device?.model(shape) ?? TestCalibrations.model(shape)
        }

        func options(_ policy: any CachePolicy, prefill: CacheOptions.PrefillMode = .exact) -> CacheOptions {
            CacheOptions(
                policy: policy, elementType: type, attention: device?.attention ?? .automatic, prefill: prefill)
        }

        func engine(_ model: Model, capacity: Int, prompt: Double? = nil) throws -> Engine {
            try Engine(model, options(make(capacity: capacity, prompt: prompt)), threads: 1)
        }

        func full(_ model: Model) throws -> Engine {
            try Engine(model, options(FullPolicy()), threads: 1)
        }

        /// Keys of 16 bits round the same way whatever the policy; only the order of sums differs.
        var tolerance: Float { type == .f32 ? device?.tolerance ?? 1e-4 : 2e-2 }
    }

    static let cases: [Case] = PolicyRegistry.standard.descriptors.flatMap { descriptor in
        (TestDevice.includesKernel ? [(4, 4), (4, 2), (4, 1)] : []).flatMap { heads in
            [CacheType.f32, .f16].map { type in
                Case(policy: descriptor.name, queryHeads: heads.0, kvHeads: heads.1, type: type)
            }
        }
            + TestDevice.all.map { device in
                Case(policy: descriptor.name, queryHeads: 4, kvHeads: 2, type: .f32, device: device)
            }
    }

    static let capacity = 24

    @Test("with ample capacity the logits are the full cache's", arguments: cases)
    func ampleCapacityIsFull(_ test: Case) throws {
        let model = try test.model()
        let (full, engine) = (try test.full(model), try test.engine(model, capacity: 200))
        let prompt = TestModels.tokens(50, seed: 3)
        try full.prefill(prompt)
        try engine.prefill(prompt)
        for token in TestModels.tokens(40, seed: 4) {
            expectClose(engine.logits, full.logits, test.tolerance)
            try full.decode(token)
            try engine.decode(token)
        }
        #expect(engine.positions == full.positions)
    }

    @Test("holds at most its slots, each position once, and always the window and the current token", arguments: cases)
    func holdsWhatItPromises(_ test: Case) throws {
        let model = try test.model()
        let window = ["tova", "kvzip"].contains(test.policy) ? 0 : 6
        // Prompts shorter than, equal to and longer than the capacity.
        for length in [1, 5, Self.capacity - 1, Self.capacity, Self.capacity + 1, 70] {
            let engine = try test.engine(model, capacity: Self.capacity)
            try engine.prefill(TestModels.tokens(length, seed: UInt64(length)))
            for (step, token) in TestModels.tokens(60, seed: 9).enumerated() {
                try engine.decode(token)
                let seen = length + step + 1
                let statistics = engine.statistics
                #expect(statistics.tokensSeen == seen)
                for (layer, heads) in zip(statistics.layers, engine.positions) {
                    #expect(layer.plannedBytes == layer.allocatedBytes && layer.plannedBytes > 0)
                    for (head, positions) in heads.enumerated() {
                        let frozen = layer.frozen.isEmpty ? 0 : layer.frozen[head]
                        #expect(positions.count == frozen + layer.used && layer.used <= layer.slots)
                        #expect(Set(positions).count == positions.count && positions == positions.sorted())
                        #expect(positions.suffix(min(window + 1, seen)).first == max(0, seen - window - 1))
                        #expect(positions.last == seen - 1)
                        if test.policy == "streaming", seen > 2 { #expect(positions.prefix(2) == [0, 1]) }
                    }
                    if test.isConstant { #expect(layer.used == min(seen, layer.slots) || length >= layer.slots) }
                }
            }
            if test.isConstant {
                let layers = engine.statistics.layers
                #expect(layers.allSatisfy { $0.used == $0.slots })
                #expect(layers.reduce(0) { $0 + $1.slots } == Self.capacity * layers.count)
            }
        }
    }

    @Test("a second turn with ample capacity is one longer prompt", arguments: cases)
    func secondTurnIsOneLongerPrompt(_ test: Case) throws {
        let model = try test.model()
        let tokens = TestModels.tokens(90, seed: 11)
        let (one, two) = (try test.engine(model, capacity: 300), try test.engine(model, capacity: 300))
        try one.prefill(tokens)
        for part in [0..<40, 40..<43, 43..<90] { try two.prefill(Array(tokens[part])) }
        expectClose(two.logits, one.logits, test.tolerance)
        #expect(two.positions == one.positions)
        for token in TestModels.tokens(10, seed: 12) {
            try one.decode(token)
            try two.decode(token)
            expectClose(two.logits, one.logits, test.tolerance)
        }
    }

    @Test("a prompt of several internal chunks is like any other", arguments: cases)
    func longPromptsAreExact(_ test: Case) throws {
        let model = try test.model()
        let (full, ample) = (try test.full(model), try test.engine(model, capacity: 1300))
        let small = try test.engine(model, capacity: Self.capacity)
        let prompt = TestModels.tokens(1100, seed: 22)
        for engine in [full, ample, small] { try engine.prefill(prompt) }
        expectClose(small.logits, full.logits, test.tolerance)
        for token in TestModels.tokens(10, seed: 23) {
            expectClose(ample.logits, full.logits, test.tolerance)
            for engine in [full, ample, small] { try engine.decode(token) }
        }
        if test.isConstant { #expect(small.statistics.layers.allSatisfy { $0.used == $0.slots }) }
    }

    @Test("a prompt that is cut once takes memory for what stays only", arguments: ["snapkv", "pyramidkv"])
    func cutOnceTakesLittleMemory(_ policy: String) throws {
        let test = Case(policy: policy, queryHeads: 4, kvHeads: 2, type: .f16)
        let engine = try test.engine(test.model(), capacity: Self.capacity)
        try engine.prefill(TestModels.tokens(600, seed: 20))
        #expect(engine.statistics.layers.allSatisfy { $0.slots == 256 && $0.used < 50 })
        for token in TestModels.tokens(300, seed: 21) { try engine.decode(token) }
        #expect(engine.statistics.layers.allSatisfy { $0.slots == 512 && $0.plannedBytes == $0.allocatedBytes })
    }

    @Test("a prompt in parts with ample capacity is the prompt at once", arguments: cases)
    func chunkedPrefillIsExact(_ test: Case) throws {
        guard !test.needsWholePrompt else { return }
        let model = try test.model()
        let tokens = TestModels.tokens(100, seed: 17)
        let exact = try test.engine(model, capacity: 300)
        try exact.prefill(tokens)
        for size in [1, 7, 64, 100, 500] {
            let options = test.options(try test.make(capacity: 300), prefill: .chunked(size))
            let chunked = try Engine(model, options, threads: 1)
            try chunked.prefill(tokens)
            expectClose(chunked.logits, exact.logits, test.tolerance)
            #expect(chunked.positions == exact.positions)
        }
    }

    @Test("a long prompt in parts never holds more than a part and the capacity", arguments: cases)
    func chunkedPrefillIsBounded(_ test: Case) throws {
        guard !test.needsWholePrompt else { return }
        let model = try test.model()
        let options = test.options(try test.make(capacity: Self.capacity), prefill: .chunked(16))
        let engine = try Engine(model, options, threads: 1)
        try engine.prefill(TestModels.tokens(100, seed: 18))
        for heads in engine.positions {
            for positions in heads {
                #expect(Set(positions).count == positions.count)
                // TOVA alone gives the last token of a prompt no privilege.
                if test.policy != "tova" { #expect(positions.last == 99) }
                if !["full", "pyramidkv", "augur"].contains(test.policy) { #expect(positions.count <= Self.capacity) }
            }
        }
        if test.isConstant { #expect(engine.statistics.layers.allSatisfy { $0.used <= $0.slots }) }
        for token in TestModels.tokens(10, seed: 19) { try engine.decode(token) }
        #expect(engine.seen == 110)
    }

    @Test(
        "heads get different numbers of entries from the whole prompt only",
        arguments: ["adakv", "kvzip"])
    func unevenCutsAreRefusedWhereTheyCannotBe(_ policy: String) throws {
        let test = Case(policy: policy, queryHeads: 4, kvHeads: 2, type: .f32)
        let model = try test.model()
        let choice = try test.make(capacity: Self.capacity)
        #expect { try Engine(model, CacheOptions(policy: choice, prefill: .chunked(8)), threads: 1) } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
    }

    @Test("after a second turn the cache goes on with the scores of one longer prompt", arguments: cases)
    func scoresSurviveASecondTurn(_ test: Case) throws {
        guard test.type == .f32, test.isConstant else { return }
        let model = try test.model()
        let tokens = TestModels.tokens(40, seed: 13)
        // The prompt fits, so nothing is evicted before the end of it, and the evictions that follow must agree. Which
        // tokens are the first prompt's differs, so it has no share.
        let (one, two) = (
            try test.engine(model, capacity: 44, prompt: 0), try test.engine(model, capacity: 44, prompt: 0)
        )
        try one.prefill(tokens)
        for part in [0..<30, 30..<33, 33..<40] { try two.prefill(Array(tokens[part])) }
        for token in TestModels.tokens(40, seed: 14) {
            try one.decode(token)
            try two.decode(token)
            #expect(two.positions == one.positions)
        }
    }

    @Test("a cleared cache repeats its run", arguments: cases)
    func clearForgetsEverything(_ test: Case) throws {
        let model = try test.model()
        let engine = try test.engine(model, capacity: Self.capacity)
        func run() throws -> [Float] {
            try engine.prefill(TestModels.tokens(50, seed: 15))
            for token in TestModels.tokens(30, seed: 16) { try engine.decode(token) }
            return engine.logits
        }
        let first = try run()
        engine.clear()
        #expect(engine.seen == 0 && engine.positions.allSatisfy { $0.allSatisfy(\.isEmpty) })
        #expect(try run() == first)
    }
}

extension PolicyMatrixTests.Case {
    /// Whether the cache stops growing.
    var isConstant: Bool { !["full", "snapkv", "pyramidkv", "adakv", "kvzip"].contains(policy) }

    /// Whether a prompt cannot enter in parts.
    var needsWholePrompt: Bool { ["adakv", "kvzip"].contains(policy) }
}

/// Logits may differ by a share of their range.
func expectClose(
    _ a: [Float], _ b: [Float], _ tolerance: Float, sourceLocation: SourceLocation = #_sourceLocation
) {
    let range = b.max()! - b.min()!
    let error = zip(a, b).map { abs($0 - $1) }.max()!
    #expect(error <= tolerance * range, sourceLocation: sourceLocation)
}
