import Foundation
import Testing

@testable import MorphKV

/// A scoring formula that the library does not know works everywhere: nothing but its own files was touched for it.
@Suite struct NewFormulaTests {
    struct PeakPolicy: CachePolicy {
        static let descriptor = PolicyDescriptor(
            name: "peak", summary: "a formula of the tests", source: "the tests",
            parameters: [
                .capacity(in: 1...Int.max, "entries per KV head, the current token included"),
                .choice("group", default: ScoringRule.GroupReduction.sum, "how query heads are combined"),
            ])

        var capacity: Int
        var group: ScoringRule.GroupReduction = .sum

        init(capacity: Int, group: ScoringRule.GroupReduction = .sum) {
            (self.capacity, self.group) = (capacity, group)
        }
        init(_ arguments: PolicyArguments) {
            self.init(capacity: arguments.integer("capacity"), group: arguments.choice("group"))
        }
        var arguments: PolicyArguments { PolicyArguments(["capacity": capacity, "group": group.rawValue]) }

        func rule(for layer: LayerGeometry) -> RetentionRule {
            .scored(
                ScoringRule(
                    capacity: capacity, window: 4, sinks: 1,
                    accumulation: .init(PeakFormula(decay: 0.9, aging: 0.001)), groupReduction: group))
        }
    }

    private func engine(
        _ model: Model, _ policy: PeakPolicy, _ path: CacheOptions.AttentionPath, threads: Int = 1
    ) throws -> Engine {
        try Engine(model, CacheOptions(policy: policy, elementType: .f32, attention: path), threads: threads)
    }

    @Test(
        "the kernel and the graph keep the same entries and give the same logits, prompts and answers in turn",
        arguments: ["llama", "gemma3"], ScoringRule.GroupReduction.allCases)
    func bothBackendsAgree(_ architecture: String, _ group: ScoringRule.GroupReduction) throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape(architecture, queryHeads: 4, kvHeads: 2)))
        let policy = PeakPolicy(capacity: 24, group: group)
        let engines = try [engine(model, policy, .graph), engine(model, policy, .fused, threads: 3)]
        for (turn, length) in [37, 9, 600].enumerated() {
            for engine in engines { try engine.prefill(TestModels.tokens(length, seed: UInt64(turn))) }
            for token in TestModels.tokens(30, seed: UInt64(10 + turn)) {
                for engine in engines { try engine.decode(token) }
                expectClose(engines[1].logits, engines[0].logits, 2e-4)
                #expect(engines[1].positions == engines[0].positions)
            }
        }
        #expect(engines[1].positions.joined().contains { $0.contains { $0 > 0 && $0 < 640 } })
    }

    @Test("one prompt of many tokens leaves the scores of the same tokens fed one by one")
    func promptsScoreAsSteps() throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let tokens = TestModels.tokens(20, seed: 3)
        let (whole, single) = try (
            engine(model, PeakPolicy(capacity: 64), .fused), engine(model, PeakPolicy(capacity: 64), .fused)
        )
        try whole.prefill(tokens)
        try single.prefill([tokens[0]])
        for token in tokens.dropFirst() { try single.decode(token) }
        for (a, b) in zip(whole.cache.layers, single.cache.layers) {
            for column in 0...1 {
                let tables = [a, b].map { $0.scores!.state.table($0.scores!.entries(), seen: 20, origin: 0)[column] }
                expectClose(tables[0].flatMap(\.self), tables[1].flatMap(\.self), 1e-4)
            }
        }
    }

    @Test("sequences whose formulas want features share steps with others, and each goes on as if alone")
    func batches() throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let batch = try Batch(model, threads: 1)
        func engines() throws -> [Engine] {
            [
                try engine(model, PeakPolicy(capacity: 24), .fused),
                try Engine(model, .morphKV(capacity: 24, window: 6), threads: 1),
                try engine(model, PeakPolicy(capacity: 16), .fused),
            ]
        }
        let (together, alone) = try (engines(), engines())
        for (index, pair) in zip(together, alone).enumerated() {
            try pair.0.prefill(TestModels.tokens(30, seed: UInt64(index)))
            try pair.1.prefill(TestModels.tokens(30, seed: UInt64(index)))
        }
        for token in TestModels.tokens(20, seed: 9) {
            try batch.decode(together.map { ($0, token) })
            for engine in alone { try batch.decode([(engine, token)]) }
        }
        for (a, b) in zip(together, alone) {
            #expect(a.logits == b.logits && a.positions == b.positions)
        }
    }

    @Test("a saved session goes on bit for bit")
    func saved() async throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let registry = PolicyRegistry.standard.adding(PeakPolicy.self)
        let options = CacheOptions(policy: PeakPolicy(capacity: 24), elementType: .f32)
        let session = try Session(model, cache: options, threads: 1)
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).session")
        let greedy = GenerationOptions(maxTokens: 20, sampling: .init(temperature: 0))
        func tokens(_ session: Session, _ prompt: [Token]) async throws -> [Token] {
            var all: [Token] = []
            for try await piece in session.generate(tokens: prompt, options: greedy) {
                if let token = piece.token { all.append(token) }
            }
            return all
        }
        _ = try await tokens(session, TestModels.tokens(40, seed: 4))
        try await session.save(to: url, registry: registry)
        let loaded = try Session(contentsOf: url, model: model, registry: registry, threads: 1)
        #expect(try await tokens(loaded, [5]) == tokens(session, [5]))
        #expect(await loaded.keptPositions == session.keptPositions)
    }
}
