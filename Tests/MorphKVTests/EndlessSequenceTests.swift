import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Batches, saved sessions, contexts and prompts beyond the trained context.
@Suite struct EndlessSequenceTests {
    @Test("a batch beyond the trained context is its sequences one by one")
    func batchesAreSequences() throws {
        let model = try EndlessTests.model()
        func engines() throws -> [Engine] {
            try EndlessTests.policies.map { try Engine(model, EndlessTests.Case(policy: $0).options(), threads: 1) }
        }
        let (single, batched) = (try engines(), try engines())
        let batch = try Batch(model, threads: 1)
        let alone = try Batch(model, threads: 1)
        for (index, engine) in (single + batched).enumerated() {
            try engine.prefill(TestModels.tokens(20 + index % EndlessTests.policies.count * 9, seed: 1))
        }
        for token in TestModels.tokens(100, seed: 2) {
            try batch.decode(batched.map { ($0, token) })
            for engine in single { try alone.decode([(engine, token)]) }
        }
        for (one, other) in zip(single, batched) { #expect(one.logits == other.logits) }
    }

    @Test("a session that was saved beyond the trained context continues bit for bit", arguments: EndlessTests.policies)
    func savedSessionsContinue(_ policy: String) async throws {
        let model = try EndlessTests.model("gemma3")
        let session = try Session(model, cache: EndlessTests.Case(policy: policy).options(), threads: 1)
        let options = GenerationOptions(maxTokens: 90, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: options))
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url)
        let loaded = try Session(contentsOf: url, model: model, threads: 1)
        #expect(await loaded.cacheOptions.positions == .trained)
        #expect(await loaded.state == session.state)
        let rest = try await SessionTests.tokens(session.generate(tokens: [4], options: options))
        #expect(try await SessionTests.tokens(loaded.generate(tokens: [4], options: options)) == rest)
        #expect(await loaded.state == session.state)
    }

    @Test("what is held besides the slots moves as one block, as the same entries in slots would")
    func frozenEntriesMove() throws {
        let model = try EndlessTests.model(context: 400)
        let document = TestModels.tokens(40, seed: 1)
        let context = try CompressedContext(
            reading: document, after: [], model: model, options: CacheOptions(policy: FullPolicy(), elementType: .f32),
            threads: 1)
        let behind = try context.engine(StreamingPolicy(capacity: 80, sinks: 0), threads: 1)
        let whole = try Engine(
            model, CacheOptions(policy: StreamingPolicy(capacity: 120, sinks: 0), elementType: .f32), threads: 1)
        try whole.prefill(document)
        func feed(_ seed: UInt64) throws {
            for token in TestModels.tokens(15, seed: seed) {
                for engine in [behind, whole] { try engine.decode(token) }
                expectClose(behind.logits, whole.logits, 1e-4)
            }
        }
        try feed(2)
        for (floor, base) in [(10, 0), (30, 0), (33, 30)] {
            for engine in [behind, whole] {
                try engine.mover.move(engine.cache, to: RotaryFrame(floor: floor, base: base))
            }
            try feed(UInt64(floor))
        }
        // What the session holds goes into contexts with every key where it was written.
        let copy = try behind.frozenCopy()
        #expect(behind.cache.frame == RotaryFrame() && copy.tokens == 100)
        try whole.mover.move(whole.cache, to: RotaryFrame())
        try feed(50)
    }

    @Test(
        "sequences behind a context go on beyond the trained context, saved in between",
        arguments: EndlessTests.policies)
    func contextsGoOn(_ policy: String) async throws {
        let model = try EndlessTests.model("gemma3", context: 96)
        var context = try TestContexts.make(model, tokens: 40)
        try context.compress(TestContexts.compression(0.5), threads: 1)
        let session = try Session(context, policy: EndlessTests.Case(policy: policy).options().policy, threads: 1)
        let options = GenerationOptions(maxTokens: 150, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: options))
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url)
        let loaded = try Session(contentsOf: url, model: model, threads: 1)
        #expect(await loaded.state == session.state)
        let prompt = TestModels.tokens(70, seed: 4)
        let rest = try await SessionTests.tokens(session.generate(tokens: prompt, options: options))
        #expect(try await SessionTests.tokens(loaded.generate(tokens: prompt, options: options)) == rest)
        #expect(await loaded.state == session.state)
        #expect(await loaded.state.logits.allSatisfy(\.isFinite))
    }

    @Test(
        "prompts longer than the trained context enter in parts, under every policy", arguments: EndlessTests.policies)
    func longPrompts(_ policy: String) throws {
        let model = try EndlessTests.model()
        let engine = try Engine(model, EndlessTests.Case(policy: policy).options(), threads: 1)
        let all = try engine.prefill(TestModels.tokens(300, seed: 1), wantsAllLogits: true)
        #expect(all.count == 300 * model.description.vocabularySize && engine.seen == 300)
        #expect(all.allSatisfy(\.isFinite) && engine.cache.frame.floor > 200)
        try engine.decode(5)
    }

    @Test("what cannot be kept within a limit is refused by name or left as it was")
    func limitsThatCannotBe() throws {
        let model = try EndlessTests.model()
        let policy = MorphKVPolicy(capacity: 40, window: 6)
        #expect(throws: CacheError.self) {
            try Engine(model, CacheOptions(policy: policy, positions: .tokens(30)), threads: 1)
        }
        #expect(throws: CacheError.self) {
            try Engine(model, CacheOptions(policy: policy, positions: .tokens(65)), threads: 1)
        }
        // As large as the trained context, or growing: positions go on as they did.
        for options in [CacheOptions(policy: MorphKVPolicy(capacity: 64, window: 6)), .full] {
            #expect(try Engine(model, options, threads: 1).cache.floor == nil)
        }
        let plans = try [CacheOptions.PositionLimit.none, .trained].map {
            try CachePlan(model, CacheOptions(policy: policy, positions: $0), tokens: 40)
        }
        #expect(plans[1].bytes - plans[0].bytes >= 4 * 40 * 2 * 2)
    }
}
