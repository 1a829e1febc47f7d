import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Layers and heads with numbers of slots of their own, where they are counted and shown.
@Suite struct HeadSlotsTests {
    static let spreads = SlotBudgets.Spread.allCases

    private func options(_ spread: SlotBudgets.Spread) -> CacheOptions {
        CacheOptions(
            policy: AugurPolicy(capacity: 24, window: 4, budgets: SlotBudgets(spread)), elementType: .f32)
    }

    /// As the policy states them.
    private func expected(_ model: Model, _ spread: SlotBudgets.Spread) throws -> [[Int]] {
        let policy = try options(spread).prepared(for: model).policy
        return try model.description.layers.indices.map { layer in
            try policy.rules(for: model.description.geometry(of: layer)).map { rule in
                guard case .scored(let scoring) = rule else { return 0 }
                return scoring.capacity
            }
        }
    }

    @Test("plan, statistics and explanation count the slots of each head", arguments: spreads)
    func counts(_ spread: SlotBudgets.Spread) throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let expected = try expected(model, spread)
        #expect(Set(expected.joined()).count > 1 || spread == .even)
        #expect(expected.contains { Set($0).count > 1 } == (spread == .head))
        let plan = try CachePlan(model, options(spread), tokens: 200)
        #expect(plan.slots == expected)

        let engine = try Engine(model, options(spread), threads: 1)
        let (prompt, response) = (TestModels.tokens(60, seed: 4), TestModels.tokens(80, seed: 5))
        try engine.prefill(prompt)
        for token in response { try engine.decode(token) }
        let statistics = engine.statistics
        #expect(statistics.layers.map(\.headSlots) == expected)
        #expect(statistics.slots == expected.joined().max() && statistics.fewestSlots == expected.joined().min())
        #expect(statistics.used == engine.positions.joined().map(\.count).max())
        #expect(statistics.allocatedBytes == plan.bytes)

        let explanation = try Explanation.of(model, options(spread), prompt: prompt, response: response, threads: 1)
        #expect(explanation.heads.map(\.slots) == expected.flatMap { $0 })
        for (head, held) in zip(explanation.heads, engine.positions.joined()) {
            #expect(head.sinks + head.prompt + head.response + head.recent == held.count)
            #expect(head.turnover == Double(140 - held.count) / Double(head.slots))
        }
    }

    @Test("a view's digits are the shares that the heads hold", arguments: spreads)
    func views(_ spread: SlotBudgets.Spread) throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let engine = try Engine(model, options(spread), threads: 1)
        try engine.prefill(TestModels.tokens(90, seed: 6))
        let full = try FullCacheCost(model, options(spread))
        let view = CacheView(engine, prompt: 90, full: full)
        #expect(view.slotsUsed == engine.positions.joined().map(\.count).max())
        for (digits, heads) in zip(view.kept, engine.positions) {
            for (position, digit) in digits.enumerated() {
                let share = Double(heads.count { $0.contains(position) }) / Double(heads.count)
                #expect(digit == (share == 0 ? "0" : Character("\(max(1, Int(share * 9)))")))
            }
        }
    }

    @Test("what is read at a time is planned for the head with most slots")
    func chunkedPromptBytes() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        var options = options(.head)
        options.prefill = .chunked(16)
        let d = model.description
        let most = try #require(try expected(model, .head).joined().max())
        let row = 2 * 4 * d.headDimension * d.kvHeads
        #expect(
            try CachePlan(model, options, tokens: 200).promptBytes == (most + 16) * row + 4 * 16 * d.embeddingLength)
    }

    @Test("a scheduler counts the calibration once, and not where there is none")
    func servedCalibration() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        var options = ServingOptions(
            cache: options(.layer), parallel: 2, maxPromptTokens: 200, timeLimit: .seconds(3600),
            readLimit: .seconds(3600), threads: 1)
        let calibration = try #require(try model.calibration())
        let memory = try Scheduler(model, options).memory
        #expect(memory.calibration == calibration.bytes)
        #expect(memory.total == memory.weights + memory.caches + memory.contexts + memory.calibration + memory.compute)
        // Requests may name augur though the server's policy is another one.
        options.cache = .morphKV(capacity: 64)
        #expect(try Scheduler(model, options).memory.calibration == calibration.bytes)
        let bare = try Model(contentsOf: TestModels.url(TestModels.shape("llama"), .f32, seed: 77))
        #expect(try Scheduler(bare, options).memory.calibration == 0)
    }

    /// A policy with a number of rules that does not depend on the model.
    private struct OddPolicy: CachePolicy {
        static let descriptor = PolicyDescriptor(
            name: "odd", summary: "a number of rules", source: "the tests",
            parameters: [.integer("rules", in: 0...9, default: 0, "rules per layer")])
        let arguments: PolicyArguments

        init(_ arguments: PolicyArguments) { self.arguments = arguments }
        func rule(for layer: LayerGeometry) -> RetentionRule { .everything }
        func rules(for layer: LayerGeometry) -> [RetentionRule] {
            (0..<arguments.integer("rules")).map { .recent(slots: 20 + $0, sinks: 0) }
        }
    }

    @Test("a policy needs a rule for each KV head", arguments: [0, 1, 2, 3])
    func rulesOfAnotherModel(_ rules: Int) throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape("llama")))
        #expect(model.description.kvHeads == 2)
        let options = CacheOptions(policy: OddPolicy(PolicyArguments(["rules": rules])))
        if rules == 2 { return #expect(try Engine(model, options, threads: 1).statistics.fewestSlots == 20) }
        let error = #expect(throws: CacheError.self) { try Engine(model, options, threads: 1) }
        #expect(error?.kind == .invalidPolicy)
    }
}
