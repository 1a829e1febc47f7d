import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// What blocks without attention remember: of constant size, one sequence's own, and part of all that is kept of it.
@Suite struct RecurrentTests {
    static let architectures = ["qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe", "granitehybrid"]

    private func engine(_ model: Model, _ policy: String = "full", _ adjust: (inout CacheOptions) -> Void = { _ in })
        throws -> Engine
    {
        var options = CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32)
        adjust(&options)
        return try Engine(model, options, threads: 1)
    }

    @Test("the whole memory of a sequence is what was announced, and constant with eviction", arguments: architectures)
    func memoryIsConstant(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        for policy in ["morphkv:capacity=24,window=6", "streaming:capacity=24", "augur:capacity=24,window=6"] {
            let engine = try engine(model, policy)
            let options = engine.cache.options
            let announced = try [10, 1000, 100_000].map { try CachePlan(model, options, tokens: $0).bytes }
            #expect(Set(announced).count == 1)
            try engine.prefill(TestModels.tokens(100, seed: 1))
            var held: [Int] = []
            for step in 0..<1500 {
                try engine.decode(Token(step * 7 % 320))
                if step % 300 == 0 { held.append(engine.statistics.allocatedBytes) }
            }
            #expect(Set(held) == [announced[0]] && engine.statistics.plannedBytes == announced[0])
            #expect(engine.statistics.recurrentBytes > 0)
        }
        // Without eviction the layers grow, and what is remembered does not.
        let plans = try [1000, 100_000].map { try CachePlan(model, .full, tokens: $0) }
        #expect(plans[1].bytes > 50 * plans[0].bytes / 2 && plans[0].recurrentBytes == plans[1].recurrentBytes)
        #expect(plans[0].layerBytes.count == model.description.layers.count)
    }

    @Test("a prompt in parts, or token by token, leaves what the whole prompt leaves", arguments: architectures)
    func partsLeaveTheSame(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let prompt = TestModels.tokens(90, seed: 8)
        let whole = try engine(model)
        try whole.prefill(prompt)
        for part in [1, 2, 7, 64] {
            let parts = try engine(model) { $0.prefill = .chunked(part) }
            try parts.prefill(prompt)
            expectClose(parts.logits, whole.logits, 1e-4)
        }
        let steps = try engine(model)
        for token in prompt { try steps.decode(token) }
        expectClose(steps.logits, whole.logits, 1e-4)
        // And it is forgotten with the sequence.
        whole.clear()
        try whole.prefill(Array(prompt.prefix(5)))
        let fresh = try engine(model)
        try fresh.prefill(Array(prompt.prefix(5)))
        #expect(whole.logits == fresh.logits)
    }

    @Test("a context is remembered by each question for itself", arguments: architectures)
    func contextsAreForked(_ architecture: String) async throws {
        let model = try TestContexts.model(architecture)
        var context = try TestContexts.make(model, tokens: 60)
        let alone = try await TestContexts.ask(context, 1)
        let shared = context
        let answers = try await withThrowingTaskGroup(of: [Token].self) { group in
            for _ in 0..<3 { group.addTask { try await TestContexts.ask(shared, 1) } }
            group.addTask {
                _ = try await TestContexts.ask(shared, 2)
                return alone
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.allSatisfy { $0 == alone })
        // A session goes back to the end of the context, and not to nothing, also after it was saved.
        let session = try Session(context, threads: 1)
        let options = GenerationOptions(maxTokens: 12)
        let question = TestModels.tokens(9, seed: 1)
        #expect(try await SessionTests.tokens(session.generate(tokens: question, options: options)) == alone)
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url)
        for again in [session, try Session(contentsOf: url, model: model, threads: 1)] {
            try await again.reset()
            #expect(try await SessionTests.tokens(again.generate(tokens: question, options: options)) == alone)
        }
        // Cut, it costs less, and what is remembered stays.
        let before = context.statistics
        try context.compress(TestContexts.compression(0.3), threads: 1)
        #expect(context.cache.recurrent == shared.cache.recurrent)
        #expect(context.statistics.allocatedBytes < before.allocatedBytes && before.allocatedBytes == before.wholeBytes)
    }

    @Test("answers that are kept are part of what the context remembers")
    func keptAnswersAreRemembered() throws {
        let model = try TestContexts.model("qwen35")
        let context = try TestContexts.make(model, tokens: 50)
        let more = TestModels.tokens(20, seed: 77)
        let engine = try context.engine(threads: 1)
        try engine.prefill(more)
        let extended = context.extended(by: more, cache: try engine.frozenCopy())
        let whole = try self.engine(model)
        try whole.prefill(context.tokens + more)
        let next = TestModels.tokens(4, seed: 3)
        for (token, logits) in zip(next, try ContextTests.logits(extended, after: next)) {
            try whole.decode(token)
            expectClose(logits, whole.logits, 1e-4)
        }
    }

    @Test("a saved sequence without what was remembered, or with nonsense, is refused", arguments: [true, false])
    func damagedStatesAreRefused(_ isSession: Bool) async throws {
        let model = try TestContexts.model("qwen35")
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        if isSession {
            let session = try Session(model, cache: .morphKV(capacity: 24, window: 6), threads: 1)
            _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: .init(maxTokens: 4)))
            try await session.save(to: url)
        } else {
            try TestContexts.make(model, tokens: 40).save(to: url)
        }
        let raw = try #require(RawCacheFile(Data(contentsOf: url)))
        let file = try GgufFile(contentsOf: url)
        for name in ["recurrent.0.inputs", "recurrent.1.memory"] {
            let tensor = try #require(file.tensors[name])
            var changed = raw
            changed.data.replace(at: tensor.offset + 8, with: Float.nan.bitPattern)
            var renamed = raw
            let at = try #require(renamed.data.range(of: Data(name.utf8)))
            renamed.data[at.lowerBound] ^= 1
            for file in [changed, renamed] {
                try file.sealed.write(to: url)
                #expect {
                    if isSession {
                        _ = try Session(contentsOf: url, model: model, threads: 1)
                    } else {
                        _ = try CompressedContext(contentsOf: url, model: model)
                    }
                } throws: {
                    ($0 as? SavedCacheError)?.kind == .damaged && "\($0)".contains(name)
                }
            }
        }
    }

    @Test("what graphs remember comes back with a saved session", arguments: architectures)
    func graphsComeBack(_ architecture: String) async throws {
        let model = try TestContexts.model(architecture)
        let options = CacheOptions(
            policy: MorphKVPolicy(capacity: 24, window: 6), elementType: .f32, attention: .graph)
        let session = try Session(model, cache: options, threads: 1)
        let length = GenerationOptions(maxTokens: 9)
        _ = try await SessionTests.tokens(session.generate(tokens: TestModels.tokens(40, seed: 3), options: length))
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url)
        let restored = try Session(contentsOf: url, model: model, threads: 1)
        #expect(await restored.state == session.state)
        let rest = try await SessionTests.tokens(session.generate(tokens: [], options: length))
        #expect(try await SessionTests.tokens(restored.generate(tokens: [], options: length)) == rest)
    }

    @Test(
        "a conversation goes on from its state; one that drops its end is read anew, whatever the layers still hold",
        arguments: ["morphkv:capacity=400,window=8", "full", "streaming:capacity=400"])
    func conversations(_ policy: String) async throws {
        let tests = SchedulerTests()
        let model = try TestContexts.model("qwen35")
        var options = tests.options()
        options.cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32)
        let scheduler = try Scheduler(model, options)
        var request = tests.request(30, seed: 5)
        let first = request
        let answer = try await tests.tokens(of: scheduler.submit([request])[0])
        request.prompt += answer + TestModels.tokens(10, seed: 6)
        var shortened = first
        shortened.prompt = first.prompt.dropLast(4) + [7, 8]
        for (next, cached) in [(request, 30 + answer.count - 1), (shortened, 0)] {
            var (tokens, end) = ([Token](), ServingPiece.End?.none)
            for try await piece in try scheduler.submit([next])[0] {
                tokens += piece.tokens.map(\.chosen.token)
                end = piece.end ?? end
            }
            #expect(end?.cachedTokens == cached)
            let fresh = try Scheduler(model, options)
            #expect(try await tests.tokens(of: fresh.submit([next])[0]) == tokens)
        }
    }
}
