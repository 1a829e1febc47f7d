import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Sequences beyond the trained context on every architecture, with its layers' own rotations.
@Suite struct EndlessArchitectureTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let architecture: String
        var hasFactors = false
        var testDescription: String { "\(architecture)\(hasFactors ? " with factors" : "")" }

        func model(context: Int) throws -> Model {
            var shape = TestModels.shape(architecture)
            shape.context = context
            shape.hasRopeFactors = hasFactors
            if shape.slidingWindow != nil { shape.slidingWindow = 20 }
            return try Model(contentsOf: TestModels.url(shape))
        }
    }

    static let cases =
        Model.architectures.map { Case(architecture: $0) }
        + ["llama", "phi3"].map { Case(architecture: $0, hasFactors: true) }

    private static func engine(
        _ model: Model, _ policy: String, _ attention: CacheOptions.AttentionPath,
        _ positions: CacheOptions.PositionLimit = .trained
    ) throws -> Engine {
        let options = CacheOptions(
            policy: try PolicyRegistry.standard.policy(policy), elementType: .f32, attention: attention,
            positions: positions)
        return try Engine(model, options, threads: 1)
    }

    @Test(
        "keys turn as the layer rotates them: counted from elsewhere, all answers stay", arguments: cases,
        [CacheOptions.AttentionPath.fused, .graph])
    func keysTurnAsTheyRotate(_ test: Case, _ attention: CacheOptions.AttentionPath) throws {
        let model = try test.model(context: 400)
        let engines = try (0..<2).map { _ in try Self.engine(model, "streaming:capacity=24,sinks=0", attention) }
        for engine in engines { try engine.prefill(TestModels.tokens(60, seed: 1)) }
        let turned = engines[1]
        // Nothing is below the floor, so nothing comes closer.
        try turned.mover.move(turned.cache, to: RotaryFrame(floor: 30, base: 30))
        for token in TestModels.tokens(12, seed: 2) {
            for engine in engines { try engine.decode(token) }
            expectClose(turned.logits, engines[0].logits, 2e-4)
        }
        #expect(turned.cache.frame.base == 30)
    }

    // SmolLM 3, with a layer that knows no positions, does not pass: kernel and graph part after a few moves (docs/models.md).
    @Test(
        "kernel and graph agree beyond the trained context", arguments: cases.filter { $0.architecture != "smollm3" })
    func kernelAndGraphAgree(_ test: Case) throws {
        let model = try test.model(context: 64)
        let engines = try [CacheOptions.AttentionPath.fused, .graph].map {
            try Self.engine(model, "morphkv:capacity=24,window=6", $0)
        }
        for engine in engines { try engine.prefill(TestModels.tokens(50, seed: 13)) }
        for token in TestModels.tokens(60, seed: 14) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[0].logits, engines[1].logits, 2e-4)
        }
        #expect(engines[0].positions == engines[1].positions)
        #expect(engines.allSatisfy { $0.cache.frame.floor > 0 })
    }

    @Test(
        "rules of positions alone keep what they would keep without moves: they go by the tokens' own positions",
        arguments: [
            EndlessTests.Case(policy: "streaming:capacity=24,sinks=2"),
            EndlessTests.Case(policy: "random:capacity=24,window=6"),
            EndlessTests.Case(policy: "streaming:capacity=24,sinks=2", architecture: "gemma3"),
            EndlessTests.Case(policy: "random:capacity=24,window=6", architecture: "gemma3"),
        ], [CacheOptions.AttentionPath.fused, .graph])
    func ownPositionsDecide(_ test: EndlessTests.Case, _ attention: CacheOptions.AttentionPath) throws {
        let model = try EndlessTests.model(test.architecture)
        let engines = try [CacheOptions.PositionLimit.trained, .none].map {
            try Self.engine(model, test.policy, attention, $0)
        }
        for token in TestModels.tokens(200, seed: 5) {
            for engine in engines { try engine.decode(token) }
            #expect(engines[0].positions == engines[1].positions)
        }
        #expect(engines[0].cache.frame.floor > 100 && engines[1].cache.frame.floor == 0)
    }

    @Test("a sequence ends with an error where its positions cannot be counted any more")
    func longestSequence() throws {
        let engine = try EndlessTests.model().engine()
        engine.cache.restore(
            seen: KVCache.longestSequence - 1,
            frame: RotaryFrame(floor: KVCache.longestSequence - 10, base: KVCache.longestSequence - 10))
        try engine.decode(1)
        let error = #expect(throws: CacheError.self) { try engine.decode(1) }
        #expect(error?.kind == .positions && error?.description.contains("16777216") == true)
        #expect(throws: CacheError.self) { try engine.prefill([1, 2]) }
        #expect(engine.seen == KVCache.longestSequence)
    }
}

extension Model {
    fileprivate func engine() throws -> Engine {
        try Engine(self, CacheOptions(policy: StreamingPolicy(capacity: 24, sinks: 2), elementType: .f32), threads: 1)
    }
}
