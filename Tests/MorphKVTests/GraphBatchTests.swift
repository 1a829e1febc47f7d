import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Sequences that are decoded together by graphs, on every device that there is.
@Suite struct GraphBatchTests {
    static let policies = FusedAttentionTests.policies

    /// Which sequences take part in a step: they join, leave and come back.
    private static let turns: [[Int]] = [
        [0, 1, 2], [0, 1, 2], [0, 2], [2, 3, 0], [3], [4, 3, 2, 1, 0], [1, 4], [0, 1, 2, 3, 4], [4, 0], [2], [1, 3, 4],
    ]

    @Test(
        "a sequence of a batch that others join and leave has the logits and entries that it has alone",
        arguments: policies, TestDevice.all)
    func independence(_ policy: String, on device: TestDevice) throws {
        let model = try device.model(TestModels.shape("llama", queryHeads: 4, kvHeads: 2))
        func engines() throws -> [Engine] {
            try (0..<5).map { index in
                let engine = try Engine(model, device.options(policy), threads: 1)
                // Some are full before they begin, others not yet.
                try engine.prefill(TestModels.tokens(9 + 8 * index, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let (batch, alone) = (try Batch(model, threads: 2), try Batch(model, threads: 2))
        for (step, turn) in (device.isCPU ? Self.turns + Self.turns : Self.turns).enumerated() {
            let token = Token(step * 13 % 320)
            try batch.decode(turn.map { (together[$0], token) })
            for index in turn { try alone.decode([(apart[index], token)]) }
            for index in turn {
                if device.isCPU {
                    #expect(together[index].logits == apart[index].logits, "step \(step), sequence \(index)")
                } else {
                    expectClose(together[index].logits, apart[index].logits, device.tolerance)
                }
                #expect(together[index].positions == apart[index].positions, "step \(step), sequence \(index)")
            }
        }
        #expect(together.allSatisfy { $0.statistics.plannedBytes == $0.statistics.allocatedBytes })
    }

    @Test(
        "caches of several policies and types, full ones of different lengths, share their steps",
        arguments: TestDevice.all)
    func mixed(on device: TestDevice) throws {
        let model = try device.model(TestModels.shape("gemma3", queryHeads: 4, kvHeads: 2))
        let kinds: [(String, Int)] = [
            ("full", 40), ("morphkv:capacity=24,window=6", 30), ("full", 250), ("augur:capacity=24,window=6", 12),
            ("morphkv:capacity=24,window=6", 3), ("full", 7), ("h2o:capacity=20,window=4", 60),
        ]
        func engines() throws -> [Engine] {
            try kinds.enumerated().map { index, kind in
                let engine = try Engine(model, device.options(kind.0), threads: 1)
                try engine.prefill(TestModels.tokens(kind.1, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let (batch, alone) = (try Batch(model, threads: 2), try Batch(model, threads: 2))
        for step in 0..<12 {
            try batch.decode(together.map { ($0, Token(step)) })
            for engine in apart { try alone.decode([(engine, Token(step))]) }
            for (one, other) in zip(together, apart) {
                expectClose(one.logits, other.logits, device.tolerance)
                #expect(one.positions == other.positions)
            }
        }
        // What was in a batch goes on by itself, with another prompt on top, as if it had not been.
        for index in kinds.indices {
            for engine in [together[index], apart[index]] { try engine.prefill(TestModels.tokens(5, seed: 77)) }
            expectClose(together[index].logits, apart[index].logits, device.tolerance)
        }
        together[0].clear()
        #expect(together[2].positions == apart[2].positions)
    }

    @Test("a device keeps what the CPU's kernel keeps and gives the same logits", arguments: policies, TestDevice.all)
    func equalsTheKernel(_ policy: String, on device: TestDevice) throws {
        guard !device.isCPU else { return }
        let shape = TestModels.shape("llama", queryHeads: 4, kvHeads: 2)
        let model = try device.model(shape)
        let kernel = try Engine(
            TestCalibrations.model(shape),
            CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32), threads: 1)
        let engine = try Engine(model, device.options(policy), threads: 1)
        for engine in [kernel, engine] { try engine.prefill(TestModels.tokens(37, seed: 5)) }
        for token in TestModels.tokens(12, seed: 6) {
            for engine in [kernel, engine] { try engine.decode(token) }
            expectClose(engine.logits, kernel.logits, device.tolerance)
            #expect(engine.positions == kernel.positions)
        }
    }

    @Test(
        "keys and values may be in blocks of 8 bits where the device can hold them; elsewhere it is said which types may be",
        arguments: [
            "full", "morphkv:capacity=24,window=6", "keydiff:capacity=24,window=6", "h2o:capacity=24,window=5",
        ],
        TestDevice.all)
    func blocks(_ policy: String, on device: TestDevice) throws {
        let shape = TestModels.shape("llama", queryHeads: 4, kvHeads: 2)
        let kernel = try Engine(
            TestCalibrations.model(shape),
            CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .q8_0), threads: 1)
        let engine: Engine
        do {
            engine = try Engine(device.model(shape), device.options(policy, .q8_0), threads: 1)
        } catch let error as CacheError where !device.isCPU {
            #expect(error.kind == .elementType && error.description.contains("use f32, f16"))
            return
        }
        for engine in [kernel, engine] { try engine.prefill(TestModels.tokens(20, seed: 5)) }
        for token in TestModels.tokens(12, seed: 6) {
            for engine in [kernel, engine] { try engine.decode(token) }
            expectClose(engine.logits, kernel.logits, 0.2)
        }
        #expect(engine.statistics.plannedBytes < kernel.statistics.plannedBytes * 3 / 2)
    }
}

/// Sessions that were saved where one kind of attention is, and go on where another is.
@Suite struct MovedSessionTests {
    @Test(
        "a session that the kernel saved goes on by graph, and the other way round",
        arguments: [
            "full", "streaming:capacity=24,sinks=2", "morphkv:capacity=24,window=6", "augur:capacity=24,window=6",
            "morphkv:capacity=24,window=6,fusion=max", "keydiff:capacity=24,window=6", "h2o:capacity=24,window=5",
        ], TestDevice.all)
    func moves(_ policy: String, to device: TestDevice) throws {
        let folder = try TemporaryFolder()
        let shape = TestModels.shape("llama", queryHeads: 4, kvHeads: 2)
        let (host, other) = (try TestCalibrations.model(shape), try device.model(shape))
        let kernel = try CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32)
        let pairs = [
            (try Engine(host, kernel, threads: 1), try Engine(other, device.options(policy), threads: 1)),
            (try Engine(other, device.options(policy), threads: 1), try Engine(host, kernel, threads: 1)),
        ]
        for (index, (saving, reading)) in pairs.enumerated() {
            try saving.prefill(TestModels.tokens(40, seed: 1))
            for token in TestModels.tokens(9, seed: 2) { try saving.decode(token) }
            let file = folder.url.appendingPathComponent("\(index).cache")
            try saving.saveSlot(TestModels.tokens(49, seed: 1), to: file)
            #expect(try reading.restoreSlot(from: file).count == 49)
            for token in TestModels.tokens(12, seed: 3) {
                for engine in [saving, reading] { try engine.decode(token) }
                expectClose(reading.logits, saving.logits, device.tolerance)
                #expect(reading.positions == saving.positions)
            }
        }
    }
}
