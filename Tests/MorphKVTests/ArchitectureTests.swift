import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Policies, contexts and saved caches on every architecture.
@Suite struct ArchitectureTests {
    static let architectures = Model.architectures
    /// And what their files may have or not.
    static let all = architectures + TestModels.variants.keys.sorted()

    @Test(
        "every policy with ample capacity gives the full cache's logits, and holds no more than its capacity",
        arguments: all)
    func everyPolicyRuns(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let (prompt, answer) = (TestModels.tokens(30, seed: 3), TestModels.tokens(6, seed: 4))
        let full = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        try full.prefill(prompt)
        let expected = try answer.map { token in
            try full.decode(token)
            return full.logits
        }
        for descriptor in PolicyRegistry.standard.descriptors {
            let test = PolicyMatrixTests.Case(policy: descriptor.name, queryHeads: 4, kvHeads: 2, type: .f32)
            let (ample, small) = (try test.engine(model, capacity: 200), try test.engine(model, capacity: 24))
            for engine in [ample, small] { try engine.prefill(prompt) }
            for (token, logits) in zip(answer, expected) {
                for engine in [ample, small] { try engine.decode(token) }
                expectClose(ample.logits, logits, 1e-4)
            }
            if test.isConstant { #expect(small.statistics.layers.allSatisfy { $0.used == $0.slots }) }
        }
    }

    @Test(
        "every policy holds each position once, the recent ones always, and the same again when it is cleared",
        arguments: all)
    func everyPolicyKeepsItsPromises(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        for descriptor in PolicyRegistry.standard.descriptors {
            let test = PolicyMatrixTests.Case(policy: descriptor.name, queryHeads: 4, kvHeads: 2, type: .f32)
            let engine = try test.engine(model, capacity: 24)
            let recent = ["tova", "kvzip"].contains(test.policy) ? 1 : 7
            var runs: [[Float]] = []
            for _ in 0..<2 {
                try engine.prefill(TestModels.tokens(40, seed: 3))
                for token in TestModels.tokens(12, seed: 4) { try engine.decode(token) }
                for (layer, heads) in zip(engine.statistics.layers, engine.positions) {
                    #expect(layer.plannedBytes == layer.allocatedBytes && layer.used <= layer.slots)
                    for positions in heads {
                        #expect(Set(positions).count == positions.count && positions == positions.sorted())
                        #expect(Array(positions.suffix(recent)) == Array(52 - recent..<52), "\(descriptor.name)")
                    }
                }
                runs.append(engine.logits)
                engine.clear()
                #expect(engine.seen == 0 && engine.positions.allSatisfy { $0.allSatisfy(\.isEmpty) })
            }
            #expect(runs[0] == runs[1], "\(descriptor.name)")
        }
    }

    @Test(
        "under every policy with ample capacity a second turn, and a prompt in parts, are one longer prompt",
        arguments: all)
    func turnsAndPartsAreOnePrompt(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let tokens = TestModels.tokens(60, seed: 11)
        for descriptor in PolicyRegistry.standard.descriptors {
            let test = PolicyMatrixTests.Case(policy: descriptor.name, queryHeads: 4, kvHeads: 2, type: .f32)
            let (whole, turns) = (try test.engine(model, capacity: 300), try test.engine(model, capacity: 300))
            try whole.prefill(tokens)
            for part in [0..<30, 30..<33, 33..<60] { try turns.prefill(Array(tokens[part])) }
            var others = [turns]
            if !test.needsWholePrompt {
                let options = test.options(try test.make(capacity: 300), prefill: .chunked(7))
                others.append(try Engine(model, options, threads: 1))
                try others[1].prefill(tokens)
            }
            for other in others {
                expectClose(other.logits, whole.logits, 1e-4)
                #expect(other.positions == whole.positions, "\(descriptor.name)")
            }
        }
    }

    @Test(
        "the kernel keeps what the graph keeps and gives the same logits", arguments: all,
        ["morphkv:capacity=24,window=6", "augur:capacity=24,window=6,prompt=0.5", "streaming:capacity=24,sinks=2"])
    func equalsTheGraph(_ architecture: String, _ policy: String) throws {
        let model = try TestContexts.model(architecture)
        let engines = try [CacheOptions.AttentionPath.graph, .fused].map { path in
            try Engine(
                model,
                CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32, attention: path),
                threads: 1)
        }
        for engine in engines { try engine.prefill(TestModels.tokens(37, seed: 5)) }
        for token in TestModels.tokens(20, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, 2e-4)
            #expect(engines[1].positions == engines[0].positions)
        }
    }

    @Test("contexts are cut and asked, and come back from files as sessions do", arguments: all)
    func contextsAndSessionsComeBack(_ architecture: String) async throws {
        let model = try TestContexts.model(architecture)
        var context = try TestContexts.make(model, tokens: 60)
        try context.compress(TestContexts.compression(0.4), threads: 1)
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try context.save(to: url)
        let loaded = try CompressedContext(contentsOf: url, model: model)
        #expect(loaded.keptPositions == context.keptPositions)
        #expect(try await TestContexts.ask(loaded, 1) == TestContexts.ask(context, 1))

        let session = try Session(model, cache: .morphKV(capacity: 24, window: 6), threads: 1)
        let prompt = GenerationOptions(maxTokens: 9)
        _ = try await SessionTests.tokens(session.generate(tokens: TestModels.tokens(40, seed: 3), options: prompt))
        try await session.save(to: url)
        let restored = try Session(contentsOf: url, model: model, threads: 1)
        #expect(await restored.state == session.state)
        let rest = try await SessionTests.tokens(session.generate(tokens: [], options: prompt))
        #expect(try await SessionTests.tokens(restored.generate(tokens: [], options: prompt)) == rest)
    }

    @Test("a context of a whole text answers as the full cache does", arguments: all)
    func wholeContextsAreExact(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let context = try TestContexts.make(model, tokens: 50)
        let full = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        try full.prefill(context.tokens)
        let tokens = TestModels.tokens(10, seed: 5)
        for (token, logits) in zip(tokens, try ContextTests.logits(context, after: tokens)) {
            try full.decode(token)
            expectClose(logits, full.logits, 1e-4)
        }
    }

    @Test(
        "a calibration can be learned",
        arguments: ["olmo2", "qwen3moe", "qwen35", "lfm2", "granitehybrid", "gemma3n", "gemma4"])
    func calibrationsAreLearned(_ architecture: String) throws {
        var shape = CalibratorTests.shape(architecture)
        if architecture == "qwen3moe" { shape.experts = .init(count: 4, used: 2) }
        if !["olmo2", "qwen3moe"].contains(architecture) { TestModels.adapt(&shape) }
        let model = try Model(contentsOf: TestModels.url(shape))
        let explained = try CalibratorTests.calibrate(model).explained.compactMap(\.self)
        #expect(!explained.isEmpty && explained.allSatisfy { $0.isFinite && $0 <= 1 })
    }

    @Test("what experts a token gets is part of the fingerprint")
    func fingerprintsTellExpertsApart() throws {
        let url = try TestModels.url(TestModels.shape("qwen3moe"))
        var raw = RawGguf(parsing: [UInt8](try Data(contentsOf: url)))
        let first = try Model(contentsOf: url)
        raw["qwen3moe.expert_used_count"] = .u32(3)
        try Data(raw.bytes).write(to: url)
        #expect(try Model(contentsOf: url).fingerprint != first.fingerprint)
    }
}
