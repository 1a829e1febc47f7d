import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Entries that never change, and heads with slots of their own, where graphs attend to them: on every device that there is.
@Suite struct GraphContextTests {
    static let policies = FusedAttentionTests.policies.filter { !$0.contains("promptCapacity") }
    static let few = [
        "full", "streaming:capacity=24,sinks=2", "morphkv:capacity=24,window=6", "augur:capacity=24,window=6",
        "morphkv:capacity=24,window=6,fusion=max,normalization=candidates,group=max", "keydiff:capacity=24,window=6",
    ]
    static let levels: [Compression.Level] = [.pair, .head(sinks: 2, recent: 10)]

    /// A compressed context as the kernel and as graphs attend to it.
    static func contexts(
        _ architecture: String, _ device: TestDevice, type: CacheType = .f32, level: Compression.Level = .pair,
        ratio: Double = 0.3
    ) throws -> (kernel: CompressedContext, graph: CompressedContext) {
        let shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 4)
        var kernel = try TestContexts.make(TestCalibrations.model(shape), type: type)
        try kernel.compress(TestContexts.compression(ratio, level), threads: 1)
        let file = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: file) }
        try kernel.save(to: file)
        var graph = try CompressedContext(contentsOf: file, model: device.model(shape))
        graph.attention = device.attention
        return (kernel, graph)
    }

    private func compare(
        _ contexts: (kernel: CompressedContext, graph: CompressedContext), _ policy: String, tolerance: Float,
        tokens: Int = 30
    ) throws {
        let policy = try PolicyRegistry.standard.policy(policy)
        let engines = try [contexts.kernel, contexts.graph].map { try $0.engine(policy, threads: 1) }
        #expect(engines[0].cache.isFused && !engines[1].cache.isFused)
        for engine in engines { try engine.prefill(TestModels.tokens(9, seed: 5)) }
        for token in TestModels.tokens(tokens, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, tolerance)
            #expect(engines[1].positions == engines[0].positions, "\(policy)")
        }
        #expect(engines[1].statistics.plannedBytes == engines[1].statistics.allocatedBytes)
    }

    @Test("a question behind a context has the kernel's logits and keeps what it keeps", arguments: TestDevice.all)
    func equalsTheKernel(on device: TestDevice) throws {
        let contexts = try Self.contexts("llama", device)
        #expect(Set(contexts.kernel.statistics.entries.joined()).count > 2)
        for policy in Self.policies { try compare(contexts, policy, tolerance: device.tolerance, tokens: 20) }
    }

    @Test(
        "so do sliding windows, sinks, shared keys and streaming heads",
        arguments: ["gemma3", "gpt-oss", "gemma4", "llama"], TestDevice.all)
    func architectures(_ architecture: String, on device: TestDevice) throws {
        guard architecture != "gemma4" || !device.isSpread else { return }
        for level in Self.levels {
            let contexts = try Self.contexts(architecture, device, level: level)
            for policy in device.isCPU ? Self.few : Array(Self.few.prefix(3)) {
                try compare(contexts, policy, tolerance: device.tolerance * 2)
            }
        }
    }

    @Test(
        "so do keys and values of every type that graphs read",
        arguments: [CacheType.f16, .bf16, .q8_0, .q4_0], ["full", "h2o:capacity=24,window=5"])
    func types(_ type: CacheType, _ policy: String) throws {
        // ggml rounds queries to the type of the keys, or to 8 bits.
        let tolerance: Float = type == .f16 ? 1e-2 : 0.2
        let contexts = try Self.contexts("llama", TestDevice.cpu, type: type)
        let policy = try PolicyRegistry.standard.policy(policy)
        let engines = try [contexts.kernel, contexts.graph].map { try $0.engine(policy, threads: 1) }
        for token in TestModels.tokens(20, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, tolerance)
        }
    }

    @Test(
        "a prompt that is cut unevenly leaves what the kernel's leaves, and the logits after it",
        arguments: [
            "adakv:promptCapacity=24,window=6", "kvzip:ratio=0.3,repeatFirst=7+8+9,repeatNext=10+11,postfix=12",
        ],
        TestDevice.all)
    func cuts(_ policy: String, on device: TestDevice) throws {
        for architecture in ["llama", "gemma3"] {
            let shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 4)
            let kernel = try Engine(
                TestCalibrations.model(shape),
                CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32), threads: 1)
            let engine = try Engine(device.model(shape), device.options(policy), threads: 1)
            for engine in [kernel, engine] { try engine.prefill(TestModels.tokens(120, seed: 8)) }
            #expect(Set(engine.positions.joined().map(\.count)).count > 1)
            for token in TestModels.tokens(10, seed: 9) {
                for engine in [kernel, engine] { try engine.decode(token) }
                #expect(engine.positions == kernel.positions)
                expectClose(engine.logits, kernel.logits, device.tolerance * 2)
            }
            let statistics = engine.statistics
            #expect(statistics.plannedBytes == statistics.allocatedBytes)
            #expect(statistics.plannedBytes > kernel.statistics.plannedBytes)
            engine.clear()
            #expect(!engine.cache.hasFrozenEntries)
        }
    }

    @Test(
        "heads have slots of their own",
        arguments: ["augur:capacity=24,window=4,budgets=head", "keydiff:capacity=24,window=4,budgets=head"],
        TestDevice.all)
    func heads(_ policy: String, on device: TestDevice) throws {
        for architecture in ["llama", "gemma3"] {
            let shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 4)
            let kernel = try Engine(
                TestCalibrations.model(shape),
                CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32), threads: 1)
            let engine = try Engine(device.model(shape), device.options(policy), threads: 1)
            for engine in [kernel, engine] { try engine.prefill(TestModels.tokens(60, seed: 8)) }
            for token in TestModels.tokens(20, seed: 9) {
                for engine in [kernel, engine] { try engine.decode(token) }
                #expect(engine.positions == kernel.positions)
                expectClose(engine.logits, kernel.logits, device.tolerance)
            }
            #expect(engine.statistics.layers.map(\.headSlots) == kernel.statistics.layers.map(\.headSlots))
            // Another prompt enters token by token.
            for engine in [kernel, engine] { try engine.prefill(TestModels.tokens(7, seed: 10)) }
            expectClose(engine.logits, kernel.logits, device.tolerance)
        }
        // Behind a context too.
        try compare(try Self.contexts("llama", device), policy, tolerance: device.tolerance)
    }

    @Test("a context that graphs read, cut and extended is what the kernel makes of it", arguments: TestDevice.all)
    func made(on device: TestDevice) async throws {
        let shape = TestModels.shape("gemma3", queryHeads: 8, kvHeads: 4)
        func make(_ model: Model, _ attention: CacheOptions.AttentionPath) async throws -> CompressedContext {
            var context = try CompressedContext(
                reading: TestModels.tokens(150, seed: 31), after: [1, 2, 3, 4], model: model,
                options: CacheOptions(policy: FullPolicy(), elementType: .f32, attention: attention), threads: 1)
            try context.compress(TestContexts.compression(0.4), threads: 1)
            let session = try Session(context, threads: 1)
            _ = try await SessionTests.tokens(session.generate(tokens: [5, 6, 7], options: .init(maxTokens: 2)))
            return context.extended(by: [5, 6, 7], cache: try await session.frozen())
        }
        let kernel = try await make(TestCalibrations.model(shape), .automatic)
        let graph = try await make(device.model(shape), device.attention)
        #expect(graph.keptPositions == kernel.keptPositions)
        #expect(graph.statistics.allocatedBytes == kernel.statistics.allocatedBytes)
        for (a, b) in zip(graph.cache.layers, kernel.cache.layers) {
            let count = a.layout.entries * a.layout.dimension
            for (one, other) in [(a.keys, b.keys), (a.values, b.values)] {
                func floats(_ rows: UnsafeRawPointer) -> [Float] {
                    Array(UnsafeBufferPointer(start: rows.assumingMemoryBound(to: Float.self), count: count))
                }
                expectClose(floats(one), floats(other), device.tolerance)
            }
        }
    }

    @Test(
        "questions on one context are decoded together, as each of them alone", arguments: ["llama", "gpt-oss"],
        TestDevice.all)
    func together(_ architecture: String, on device: TestDevice) throws {
        let context = try Self.contexts(architecture, device).graph
        for policy in Self.few {
            let policy = try PolicyRegistry.standard.policy(policy)
            func engines() throws -> [Engine] {
                try (0..<4).map { index in
                    let engine = try context.engine(policy, threads: 1)
                    try engine.prefill(TestModels.tokens(5 + 9 * index, seed: UInt64(index)))
                    return engine
                }
            }
            let (together, apart) = (try engines(), try engines())
            let (batch, alone) = (try Batch(context.model, threads: 2), try Batch(context.model, threads: 2))
            for (step, turn) in [[0, 1, 2, 3], [0, 1, 2, 3], [1, 3], [0, 2, 3], [2], [3, 2, 1, 0]].enumerated() {
                let token = Token(step * 13 % 320)
                try batch.decode(turn.map { (together[$0], token) })
                for index in turn {
                    try alone.decode([(apart[index], token)])
                    expectClose(together[index].logits, apart[index].logits, device.isCPU ? 1e-5 : device.tolerance)
                    #expect(together[index].positions == apart[index].positions)
                }
            }
            // All slots are in one place.
            #expect(Set(together.map { ObjectIdentifier($0.cache.layers[0].keys.arena) }).count == 4)
            #expect(together.allSatisfy { $0.cache.layers[0].arena.moves > 0 })
        }
    }

    @Test(
        "keys that move leave the context where it is",
        arguments: ["streaming:capacity=24", "morphkv:capacity=24,window=6"], TestDevice.all)
    func moved(_ policy: String, on device: TestDevice) throws {
        let contexts = try Self.contexts("llama", device)
        let engines = try [contexts.kernel, contexts.graph].map { context in
            try Engine(
                context.model,
                CacheOptions(
                    policy: PolicyRegistry.standard.policy(policy), elementType: .f32, attention: context.attention,
                    positions: .tokens(200)),
                threads: 1, reserve: 0, context: context.cache)
        }
        for token in TestModels.tokens(90, seed: 6) {
            for engine in engines { try engine.decode(token) }
            #expect(engines[1].positions == engines[0].positions)
        }
        #expect(engines[1].cache.frame.floor > 0)
        expectClose(engines[1].logits, engines[0].logits, device.tolerance * 2)
    }

    @Test(
        "a saved session with entries besides its slots goes on by graph, and the other way round",
        arguments: TestDevice.all)
    func saved(on device: TestDevice) async throws {
        let folder = try TemporaryFolder()
        let policy = "adakv:promptCapacity=24,window=6"
        let shape = TestModels.shape("llama", queryHeads: 8, kvHeads: 4)
        let (host, other) = (try TestCalibrations.model(shape), try device.model(shape))
        let options = try CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32)
        for (index, pair) in [(host, options, other), (other, try device.options(policy), host)].enumerated() {
            let session = try Session(pair.0, cache: pair.1, threads: 1)
            _ = try await SessionTests.tokens(
                session.generate(tokens: TestModels.tokens(90, seed: 3), options: .init(maxTokens: 3)))
            let file = folder.url.appendingPathComponent("\(index).cache")
            try await session.save(to: file)
            let read = try Session(contentsOf: file, model: pair.2, threads: 1)
            let states = [await session.keptPositions, await read.keptPositions]
            #expect(states[0] == states[1])
            var answers: [[Token]] = []
            for session in [session, read] {
                answers.append(
                    try await SessionTests.tokens(session.generate(tokens: [9, 8], options: .init(maxTokens: 8))))
            }
            #expect(answers[0] == answers[1])
        }
    }
}

extension Session {
    /// Everything that the sequence sees.
    fileprivate func frozen() throws -> FrozenCache { try engine.frozenCopy() }
}
