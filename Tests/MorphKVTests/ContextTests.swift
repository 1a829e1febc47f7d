import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Reading once and asking many times.
@Suite struct ContextTests {
    static let levels: [Compression.Level] = [.pair, .uniform, .layer(alpha: 0.2), .head(sinks: 2, recent: 10)]

    static func logits(_ context: CompressedContext, after tokens: [Token]) throws -> [[Float]] {
        let layout = context.cache.layers[0].layout
        let engine = try Engine(
            context.model, CacheOptions(policy: FullPolicy(), elementType: layout.keyType), threads: 1, reserve: 0,
            context: context.cache)
        return try tokens.map { token in
            try engine.decode(token)
            return engine.logits
        }
    }

    @Test("an uncompressed context has the full cache's logits", arguments: [(4, 4), (4, 2), (4, 1)])
    func uncompressedIsFull(_ heads: (Int, Int)) throws {
        let model = try TestContexts.model(queryHeads: heads.0, kvHeads: heads.1)
        let context = try TestContexts.make(model)
        let full = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        try full.prefill(context.tokens)
        let tokens = TestModels.tokens(20, seed: 5)
        for (token, logits) in zip(tokens, try Self.logits(context, after: tokens)) {
            try full.decode(token)
            expectClose(logits, full.logits, 1e-5)
        }
    }

    @Test("ratio 1 changes no bit of the logits", arguments: levels.indices)
    func ratioOneIsExact(_ level: Int) throws {
        let whole = try TestContexts.make(TestContexts.model())
        var context = whole
        try context.compress(TestContexts.compression(1, Self.levels[level]), threads: 1)
        let tokens = TestModels.tokens(20, seed: 6)
        #expect(try Self.logits(context, after: tokens) == Self.logits(whole, after: tokens))
        #expect(context.statistics.allocatedBytes == whole.statistics.allocatedBytes)
    }

    @Test(
        "a question that enters in pieces is the question token by token",
        arguments: ["full", "morphkv", "h2o", "tova"])
    func piecesAreSingleTokens(_ policy: String) throws {
        let context = try TestContexts.make(TestContexts.model())
        let choice = try PolicyMatrixTests.Case(policy: policy, queryHeads: 4, kvHeads: 2, type: .f32).make(
            capacity: 24)
        func engine() throws -> Engine {
            try Engine(
                context.model, CacheOptions(policy: choice, elementType: .f32), threads: 1, reserve: 0,
                context: context.cache)
        }
        let (pieces, single) = (try engine(), try engine())
        let tokens = TestModels.tokens(90, seed: 8)
        try pieces.prefill(tokens)
        for token in tokens { try single.decode(token) }
        #expect(pieces.positions == single.positions && pieces.seen == single.seen)
        expectClose(pieces.logits, single.logits, 1e-5)
    }

    @Test("questions in any order, also at the same time, have the same answers, and leave the context as it was")
    func questionsAreIndependent() async throws {
        var context = try TestContexts.make(TestContexts.model())
        try context.compress(TestContexts.compression(0.3), threads: 1)
        let before = try TestContexts.bytes(context)
        var answers: [[Token]] = []
        for seed in 0..<10 { answers.append(try await TestContexts.ask(context, UInt64(seed))) }
        for seed in (0..<10).reversed() { #expect(try await TestContexts.ask(context, UInt64(seed)) == answers[seed]) }
        let shared = context
        try await withThrowingTaskGroup(of: (Int, [Token]).self) { group in
            for number in 0..<80 {
                group.addTask { (number % 10, try await TestContexts.ask(shared, UInt64(number % 10))) }
            }
            for try await (seed, answer) in group { #expect(answer == answers[seed]) }
        }
        #expect(Set(answers).count > 1)
        #expect(try TestContexts.bytes(context) == before)
    }

    @Test("a compressed context holds what its budget says, in as many bytes as planned", arguments: levels.indices)
    func budgetsHold(_ index: Int) throws {
        let level = Self.levels[index]
        let whole = try TestContexts.make(TestContexts.model(queryHeads: 8, kvHeads: 4))
        let all = whole.statistics
        #expect(all.plannedBytes == all.allocatedBytes && all.allocatedBytes == all.wholeBytes)
        for budget: Compression.Budget in [.ratio(0.7), .ratio(0.3), .ratio(0), .capacity(50), .bytes(90_000)] {
            var context = whole
            let compression = Compression(budget, level: level, source: .reconstruction(TestContexts.prompt))
            try context.compress(compression, threads: 1)
            let statistics = context.statistics
            #expect(statistics.plannedBytes == statistics.allocatedBytes && statistics.wholeBytes == all.allocatedBytes)
            let entries = statistics.entries.flatMap { $0 }.reduce(0, +)
            let slack = index == 2 ? 8 : index == 3 ? 8 * 12 : 0
            switch budget {
            case .ratio(let ratio): #expect(entries <= 8 * 4 + Int(8 * 146 * ratio) + slack)
            case .capacity(let capacity): #expect(entries <= 8 * capacity + slack)
            case .bytes(let bytes): #expect(statistics.allocatedBytes <= bytes)
            }
            for heads in context.keptPositions {
                for positions in heads {
                    #expect(positions.prefix(4) == [0, 1, 2, 3] && positions == Set(positions).sorted())
                }
            }
            #expect(try Self.logits(context, after: [5]).last!.allSatisfy(\.isFinite))
        }
        var context = whole
        #expect {
            try context.compress(
                Compression(.bytes(1000), level: level, source: .reconstruction(TestContexts.prompt)), threads: 1)
        } throws: { ($0 as? CacheError)?.kind == .invalidPolicy }
        #expect(context.statistics == whole.statistics)
    }

    @Test("compressing again keeps what compressing once to that ratio keeps")
    func compressionIsRepeatable() throws {
        let whole = try TestContexts.make(TestContexts.model())
        var (once, twice) = (whole, whole)
        try once.compress(TestContexts.compression(0.2), threads: 1)
        try twice.compress(TestContexts.compression(0.6), threads: 1)
        try twice.compress(TestContexts.compression(0.2), threads: 1)
        #expect(once.keptPositions == twice.keptPositions)
        #expect(Set(once.keptPositions.flatMap { $0.map(\.count) }).count > 1)
    }

    @Test(
        "any streaming policy goes on from a context in constant size",
        arguments: ["streaming", "h2o", "tova", "morphkv"])
    func streamingPoliciesGoOn(_ policy: String) async throws {
        var context = try TestContexts.make(TestContexts.model())
        try context.compress(TestContexts.compression(0.3), threads: 1)
        let choice = try PolicyMatrixTests.Case(policy: policy, queryHeads: 4, kvHeads: 2, type: .f32).make(
            capacity: 24)
        let engine = try Engine(
            context.model, CacheOptions(policy: choice, elementType: .f32), threads: 1, reserve: 0,
            context: context.cache)
        try engine.prefill(TestModels.tokens(70, seed: 2))
        let bytes = engine.statistics.allocatedBytes
        for token in TestModels.tokens(40, seed: 3) { try engine.decode(token) }
        #expect(engine.statistics.allocatedBytes == bytes && engine.statistics.plannedBytes == bytes)
        for (layer, heads) in engine.positions.enumerated() {
            for (head, positions) in heads.enumerated() {
                let kept = context.keptPositions[layer][head]
                #expect(Array(positions.prefix(kept.count)) == kept && positions.count == kept.count + 24)
                #expect(positions.dropFirst(kept.count).allSatisfy { $0 >= 150 } && positions.last == 259)
            }
        }
        engine.clear()
        #expect(engine.seen == 150 && engine.positions == context.keptPositions)
    }

    @Test("heads that stream see the first and the most recent positions only, in constant memory")
    func streamingHeadsAreConstant() throws {
        var context = try TestContexts.make(TestContexts.model(queryHeads: 8, kvHeads: 4))
        try context.compress(TestContexts.compression(0.5, .head(sinks: 2, recent: 16)), threads: 1)
        let streaming = try #require(context.cache.streaming)
        #expect(streaming.heads.contains { !$0.isEmpty && $0.count < 4 })
        let engine = try Engine(
            context.model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1, reserve: 0,
            context: context.cache)
        for (step, token) in TestModels.tokens(40, seed: 4).enumerated() {
            try engine.decode(token)
            let seen = 151 + step
            for (layer, heads) in engine.positions.enumerated() {
                for (head, positions) in heads.enumerated() {
                    let all = Array(0..<seen)
                    let streams = streaming.heads[layer].contains(head)
                    #expect(positions == (streams ? [0, 1, 2, 3] + all.suffix(16) : all))
                }
            }
        }
    }

    @Test("a streaming head computes what a full head computes over the positions it sees")
    func streamingHeadsAreExact() throws {
        let model = try TestContexts.model()
        let whole = try TestContexts.make(model)
        let streaming = StreamingHeads(heads: [[0], [0, 1]], sinks: 4, recent: 8)
        let engine = try Engine(
            model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1, reserve: 0,
            context: FrozenCache(layers: whole.cache.layers, tokens: 150, streaming: streaming))
        // The same by hand: entries that a streaming head does not see are not there.
        let tokens = TestModels.tokens(5, seed: 4)
        for (step, token) in tokens.enumerated() {
            try engine.decode(token)
            let seen = 151 + step
            let kept = Array(0..<4) + Array(seen - 8..<150)
            let layers = try whole.cache.layers.enumerated().map { index, layer in
                try layer.keeping((0..<2).map { streaming.heads[index].contains($0) ? kept : Array(0..<150) })
            }
            guard step == 0 else { continue }
            let other = try Engine(
                model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1, reserve: 0,
                context: FrozenCache(layers: layers, tokens: 150))
            try other.decode(token)
            expectClose(engine.logits, other.logits, 1e-5)
        }
    }

    @Test("layers with a sliding window keep it, and are as exact", arguments: ["gemma3"])
    func slidingWindowsHold(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let whole = try TestContexts.make(model, tokens: 200)
        let full = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        try full.prefill(whole.tokens)
        let tokens = TestModels.tokens(120, seed: 5)
        for (token, logits) in zip(tokens, try Self.logits(whole, after: tokens)) {
            try full.decode(token)
            expectClose(logits, full.logits, 1e-4)
        }
        var context = whole
        try context.compress(TestContexts.compression(0.3), threads: 1)
        for (layer, positions) in zip(model.description.layers, context.keptPositions) where layer.slidingWindow != nil
        {
            #expect(positions.allSatisfy { $0 == Array(104..<200) })
        }
        #expect(context.statistics.allocatedBytes < whole.statistics.allocatedBytes)
    }

    @Test("scores of heads are found once and cut any text at no cost")
    func headScoresApplyElsewhere() throws {
        let model = try TestContexts.model(queryHeads: 8, kvHeads: 4)
        let scores = try TestContexts.make(model).headScores(.reconstruction(TestContexts.prompt), threads: 1)
        let decoded = try JSONDecoder().decode(HeadScores.self, from: JSONEncoder().encode(scores))
        #expect(decoded == scores && scores.scores.map(\.count) == [4, 4])
        var other = try TestContexts.make(model, seed: 77)
        try other.compress(.heads(decoded, ratio: 0.5, sinks: 2, recent: 16), threads: 1)
        let sizes = Set(other.statistics.entries.flatMap { $0 })
        #expect(sizes == [150, 4 + 16])
        var wrong = try TestContexts.make(TestContexts.model())
        #expect { try wrong.compress(.heads(scores, ratio: 0.5)) } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
    }

    @Test(
        "what a compression cannot be is named",
        arguments: [
            Compression(.ratio(1.5)), Compression(.ratio(-0.1)), Compression(.capacity(0)), Compression(.bytes(0)),
            Compression(.ratio(0.5), level: .layer(alpha: 2)),
            Compression(.ratio(0.5), level: .head(sinks: -1, recent: 3)),
            Compression(.ratio(0.5), level: .uniform, curve: .weights([1])),
            Compression(.ratio(0.5), source: .reconstruction(.init(chunk: 0))),
            Compression(.capacity(3), source: .reconstruction(TestContexts.prompt)),
        ])
    func impossibleCompressionsAreRefused(_ compression: Compression) throws {
        var context = try TestContexts.make(TestContexts.model(), tokens: 60)
        #expect { try context.compress(compression, threads: 1) } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
    }

    @Test("a policy that cuts prompts, or other types of keys, cannot go on from a context")
    func impossibleSequencesAreRefused() throws {
        let context = try TestContexts.make(TestContexts.model(), tokens: 60)
        #expect { try Session(context, policy: SnapKVPolicy(promptCapacity: 64)) } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
        #expect {
            let options = CacheOptions(policy: FullPolicy(), elementType: .f16)
            _ = try Engine(context.model, options, threads: 1, reserve: 0, context: context.cache)
        } throws: {
            ($0 as? CacheError)?.kind == .elementType
        }
    }
}
