import Foundation
import Ggml
import MorphKV
import Testing

/// Layers that see only a window of the last tokens, under every policy.
@Suite struct SlidingWindowTests {
    static let policies = PolicyRegistry.standard.descriptors.map(\.name)

    private static func make(_ name: String, capacity: Int) throws -> any CachePolicy {
        try PolicyMatrixTests.Case(policy: name, queryHeads: 4, kvHeads: 2, type: .f32).make(capacity: capacity)
    }

    private static func engine(_ model: Model, _ policy: String, capacity: Int) throws -> Engine {
        try Engine(model, CacheOptions(policy: make(policy, capacity: capacity), elementType: .f32), threads: 1)
    }

    /// Gemma 3 with two layers that see 96 tokens and two that see everything.
    private static func gemma() throws -> Model {
        try TestCalibrations.model(TestModels.shape("gemma3"))
    }

    @Test("with ample capacity the logits are the full cache's, far beyond the window", arguments: policies)
    func ampleCapacityIsFull(_ policy: String) throws {
        let model = try Self.gemma()
        let (full, engine) = (
            try Self.engine(model, "full", capacity: 0), try Self.engine(model, policy, capacity: 400)
        )
        for engine in [full, engine] {
            try engine.prefill(TestModels.tokens(150, seed: 1))
            try engine.prefill(TestModels.tokens(60, seed: 2))
        }
        for token in TestModels.tokens(120, seed: 3) {
            expectClose(engine.logits, full.logits, 1e-4)
            try full.decode(token)
            try engine.decode(token)
        }
    }

    @Test("local layers keep at most their window, and the statistics say so", arguments: policies)
    func localLayersKeepTheirWindow(_ policy: String) throws {
        let model = try Self.gemma()
        let engine = try Self.engine(model, policy, capacity: 200)
        try engine.prefill(TestModels.tokens(300, seed: 4))
        for token in TestModels.tokens(20, seed: 5) { try engine.decode(token) }
        for (index, layer) in engine.statistics.layers.enumerated() {
            guard model.description.layers[index].slidingWindow != nil else { continue }
            #expect(layer.slots == 96 && layer.used == 96)
            #expect(layer.rule == .recent(slots: 96, sinks: 0))
            #expect(engine.positions[index].allSatisfy { $0 == Array(320 - 96..<320) })
        }
    }

    @Test("slots that local layers have no use for go to the others", arguments: ["layer", "head"])
    func sharesOfLocalLayers(_ budgets: String) throws {
        let model = try Self.gemma()
        let policy = try PolicyRegistry.standard.policy("augur:capacity=200,budgets=\(budgets)")
        let slots = try CachePlan(model, CacheOptions(policy: policy, elementType: .f32), tokens: 10).slots
        let heads = model.description.kvHeads
        #expect(slots.joined().reduce(0, +) == 200 * 4 * heads)
        for (layer, slots) in zip(model.description.layers, slots) {
            #expect(layer.slidingWindow == nil ? slots.allSatisfy { $0 > 200 } : slots.allSatisfy { $0 == 96 })
        }
    }

    @Test(
        "a capacity below the window holds in every layer, and nothing out of sight is attended to",
        arguments: [
            "streaming", "h2o", "tova", "morphkv", "keydiff", "random",
        ])
    func smallCapacitiesHoldEverywhere(_ policy: String) throws {
        let engine = try Self.engine(Self.gemma(), policy, capacity: 40)
        try engine.prefill(TestModels.tokens(150, seed: 6))
        for token in TestModels.tokens(200, seed: 7) { try engine.decode(token) }
        #expect(engine.statistics.layers.allSatisfy { $0.slots == 40 && $0.used == 40 })
        #expect(engine.logits.allSatisfy { $0.isFinite })
        guard policy != "tova" else { return }
        // Out of sight goes first, so that by now every entry of a local layer is in its window.
        for (index, layer) in engine.model.description.layers.enumerated() where layer.slidingWindow != nil {
            for positions in engine.positions[index] { #expect(positions[0] >= 350 - 96) }
        }
    }
}
