import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Models on other machines' devices, and on several devices at once. One test at a time uses the workers.
@Suite(.serialized) struct WorkerTests {
    @Test(
        "kept positions and logits are the oracle's on workers too", arguments: TraceTests.published + TraceTests.sinks)
    func repeatsTheTrace(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        let file = url.deletingLastPathComponent().appendingPathComponent(trace.model)
        let options = CacheOptions(policy: try trace.cachePolicy(), elementType: .f32)
        let run = try trace.rerun(TestPlacement.workers.model(file), options, threads: 1)
        #expect(trace.differences(from: run, tolerance: 1e-3) == [])
    }

    @Test(
        "every policy has the logits and entries of the CPU by graph, bit for bit", arguments: GraphBatchTests.policies,
        TestPlacement.allCases)
    func equalsTheGraph(_ policy: String, on placement: TestPlacement) throws {
        let url = try TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2))
        let here = try Model(contentsOf: url, repacks: false)
        try TestCalibrations.random(for: here).write(to: Calibration.url(besideModel: url))
        let options = try CacheOptions(
            policy: PolicyRegistry.standard.policy(policy), elementType: .f32, attention: .graph)
        var elsewhere = options
        elsewhere.attention = .automatic
        let engines = [
            try Engine(here, options, threads: 1), try Engine(placement.model(url), elsewhere, threads: 1),
        ]
        for engine in engines { try engine.prefill(TestModels.tokens(37, seed: 5)) }
        #expect(engines[0].logits == engines[1].logits)
        for token in TestModels.tokens(8, seed: 6) {
            for engine in engines { try engine.decode(token) }
            #expect(engines[0].logits == engines[1].logits)
            #expect(engines[0].positions == engines[1].positions)
        }
        for engine in engines { try engine.prefill(TestModels.tokens(5, seed: 7)) }
        #expect(engines[0].logits == engines[1].logits)
        #expect(engines.allSatisfy { $0.statistics.plannedBytes == $0.statistics.allocatedBytes })
    }

    @Test(
        "architectures with one hidden state per token have libllama's logits there",
        arguments: ["llama", "gemma3", "phi3", "gpt-oss", "qwen3moe"], TestPlacement.allCases)
    func architectures(_ architecture: String, on placement: TestPlacement) throws {
        var shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 2, tied: architecture == "llama")
        // Every device needs its copy of them.
        if architecture == "llama" { shape.hasRopeFactors = true }
        let url = try TestModels.url(shape)
        let engine = try Engine(placement.model(url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let kernel = try Engine(
            Model(contentsOf: url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        for engine in [engine, kernel] { try engine.prefill(TestModels.tokens(600, seed: 9)) }
        expectClose(engine.logits, kernel.logits, 1e-3)
        for token in TestModels.tokens(4, seed: 10) {
            for engine in [engine, kernel] { try engine.decode(token) }
            expectClose(engine.logits, kernel.logits, 1e-3)
        }
    }

    @Test("sequences that others join and leave have there what they have alone", arguments: TestPlacement.allCases)
    func batches(on placement: TestPlacement) throws {
        let model = try placement.model(TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let options = try CacheOptions(
            policy: PolicyRegistry.standard.policy("morphkv:capacity=24,window=6"), elementType: .f32)
        func engines() throws -> [Engine] {
            try (0..<3).map { index in
                let engine = try Engine(model, options, threads: 1)
                try engine.prefill(TestModels.tokens(9 + 11 * index, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let (batch, alone) = (try Batch(model, threads: 1), try Batch(model, threads: 1))
        for (step, turn) in [[0, 1, 2], [2, 0], [1], [1, 2], [0, 1, 2]].enumerated() {
            try batch.decode(turn.map { (together[$0], Token(step)) })
            for index in turn { try alone.decode([(apart[index], Token(step))]) }
            for index in turn {
                #expect(together[index].logits == apart[index].logits)
                #expect(together[index].positions == apart[index].positions)
            }
        }
    }

    @Test("a session that was saved there goes on here, and the other way round", arguments: TestPlacement.allCases)
    func sessionsMove(on placement: TestPlacement) throws {
        let folder = try TemporaryFolder()
        let url = try TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2))
        let options = try CacheOptions(
            policy: PolicyRegistry.standard.policy("morphkv:capacity=24,window=6"), elementType: .f32)
        let models = [try placement.model(url), try Model(contentsOf: url)]
        for (index, (first, second)) in [(models[0], models[1]), (models[1], models[0])].enumerated() {
            let (saving, reading) = (
                try Engine(first, options, threads: 1), try Engine(second, options, threads: 1)
            )
            try saving.prefill(TestModels.tokens(40, seed: 1))
            let file = folder.url.appendingPathComponent("\(index).cache")
            try saving.saveSlot(TestModels.tokens(40, seed: 1), to: file)
            #expect(try reading.restoreSlot(from: file).count == 40)
            for token in TestModels.tokens(6, seed: 3) {
                for engine in [saving, reading] { try engine.decode(token) }
                expectClose(reading.logits, saving.logits, 1e-3)
                #expect(reading.positions == saving.positions)
            }
        }
    }

    @Test("a graph is described to a worker once; then little more than hidden states and logits cross the network")
    func traffic() throws {
        let model = try TestPlacement.workers.model(
            TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let engine = try Engine(
            model, CacheOptions(policy: MorphKVPolicy(capacity: 24, window: 6), elementType: .f32), threads: 1)
        try engine.prefill(TestModels.tokens(30, seed: 1))
        try engine.decode(1)
        let hosts = try TestPlacement.hosts()
        func bytes() -> Int { hosts.reduce(0) { $0 + $1.traffic.bytes } }
        let before = bytes()
        for token in 0..<10 { try engine.decode(Token(token)) }
        let (perToken, needed) = ((bytes() - before) / 10, model.networkBytesPerToken)
        // Of a hidden state of 128 numbers three times, and 320 logits.
        #expect(needed == 4 * (3 * 128 + 320))
        // Each small tensor that tells a step where it is has 314 bytes of description around it.
        #expect(perToken > needed && perToken < needed + 25 * 400, "\(perToken) bytes, \(needed) of them needed")
    }

    @Test("layers are spread by free memory, or as it is said; devices with too little get none")
    func placements() throws {
        let devices = try TestPlacement.hosts().map { $0.devices[0] } + [.cpu()]
        func indices(_ shares: [Double]?, _ layers: Int) throws -> [Int] {
            let placement = try DevicePlacement(devices, shares: shares, layers: layers)
            return (0..<layers).map { devices.firstIndex(of: placement.device(of: $0))! }
        }
        #expect(try indices([1, 1, 2], 8) == [0, 0, 1, 1, 2, 2, 2, 2])
        #expect(try indices([3, 0.001, 1], 4) == [0, 0, 0, 2])
        #expect(try indices([1, 1, 1], 1) == [1])
        #expect(try indices(nil, 9) == [0, 0, 0, 1, 1, 1, 2, 2, 2])
        #expect(throws: GgmlError.self) { try indices([1, 1], 4) }
        #expect(throws: GgmlError.self) { try indices([1, 0, 1], 4) }
        #expect(throws: GgmlError.self) { try DevicePlacement([devices[0], devices[0]], layers: 4) }
    }

    @Test("what needs all layers in one place is refused on several devices", arguments: ["gemma3n", "lfm2", "qwen35"])
    func refused(_ architecture: String) throws {
        let url = try TestModels.url(TestModels.shape(architecture, queryHeads: 4, kvHeads: 2))
        #expect(throws: GgmlError.self) { try TestPlacement.workers.model(url) }
    }

    @Test("a text that is read and cut there is what the kernel makes of it here", arguments: TestPlacement.allCases)
    func contexts(on placement: TestPlacement) throws {
        let url = try TestModels.url(TestModels.shape("gemma3", queryHeads: 8, kvHeads: 4))
        let models = [try Model(contentsOf: url), try placement.model(url)]
        try TestCalibrations.random(for: models[0]).write(to: Calibration.url(besideModel: url))
        let contexts = try models.map { model in
            var context = try CompressedContext(
                reading: TestModels.tokens(150, seed: 31), after: [1, 2, 3, 4], model: model,
                options: CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
            try context.compress(TestContexts.compression(0.4), threads: 1)
            return context
        }
        #expect(contexts[0].keptPositions == contexts[1].keptPositions)
        for policy in ["full", "morphkv:capacity=24,window=6", "keydiff:capacity=24,window=4,budgets=head"] {
            let engines = try contexts.map { try $0.engine(PolicyRegistry.standard.policy(policy), threads: 1) }
            for engine in engines { try engine.prefill(TestModels.tokens(9, seed: 5)) }
            for token in TestModels.tokens(8, seed: 6) {
                for engine in engines { try engine.decode(token) }
                expectClose(engines[1].logits, engines[0].logits, 4e-4)
                #expect(engines[1].positions == engines[0].positions, "\(policy)")
            }
            #expect(engines[1].statistics.plannedBytes == engines[1].statistics.allocatedBytes)
        }
        #expect(contexts[1].statistics.deviceBytes > 0)
    }

    @Test(
        "prompts that are cut unevenly are cut as here",
        arguments: [
            "adakv:promptCapacity=24,window=6", "kvzip:ratio=0.3,repeatFirst=7+8+9,repeatNext=10+11,postfix=12",
        ], TestPlacement.allCases)
    func cuts(_ policy: String, on placement: TestPlacement) throws {
        let url = try TestModels.url(TestModels.shape("llama", queryHeads: 8, kvHeads: 4))
        let options = try CacheOptions(policy: PolicyRegistry.standard.policy(policy), elementType: .f32)
        let engines = [
            try Engine(Model(contentsOf: url), options, threads: 1),
            try Engine(placement.model(url), options, threads: 1),
        ]
        for engine in engines { try engine.prefill(TestModels.tokens(120, seed: 8)) }
        for token in TestModels.tokens(6, seed: 9) {
            for engine in engines { try engine.decode(token) }
            #expect(engines[1].positions == engines[0].positions)
            expectClose(engines[1].logits, engines[0].logits, 4e-4)
        }
        #expect(engines[1].statistics.plannedBytes == engines[1].statistics.allocatedBytes)
    }

    @Test("what reads a layer's attention is refused on several devices")
    func refusedReading() throws {
        let model = try TestPlacement.workers.model(TestModels.url(TestModels.shape("llama")))
        #expect(throws: GgmlError.self) { try LayerReader(model, longest: 8, threads: 1) }
    }
}

/// Workers that are not there, or go away.
@Suite(.serialized) struct LostWorkerTests {
    @Test("when a worker dies its sequences end with an error, and what comes later is refused")
    func dies() throws {
        let worker = try WorkerProcess()
        let host = try RemoteHost.connect(worker.address)
        let url = try TestModels.url(TestModels.shape("llama"))
        let model = try Model(contentsOf: url, devices: [.cpu(), host.devices[0]], split: [1, 1])
        let options = CacheOptions(policy: MorphKVPolicy(capacity: 24, window: 6), elementType: .f32)
        let engine = try Engine(model, options, threads: 1)
        try engine.prefill(TestModels.tokens(30, seed: 1))
        try engine.decode(1)
        worker.kill()
        let clock = ContinuousClock()
        let start = clock.now
        #expect(throws: GgmlError.self) { try engine.decode(2) }
        #expect { try engine.decode(3) } throws: { ($0 as? GgmlError)?.kind == .lost }
        #expect { try engine.prefill([4, 5]) } throws: { ($0 as? GgmlError)?.kind == .lost }
        #expect { try Engine(model, options, threads: 1) } throws: { ($0 as? GgmlError)?.kind == .lost }
        #expect(clock.now - start < .seconds(10))
        #expect(host.isLost && !Device.all.contains(host.devices[0]))
        // What is on this machine goes on.
        let here = try Engine(Model(contentsOf: url), options, threads: 1)
        try here.prefill([1, 2, 3])
    }

    @Test("a session on a lost worker is not saved")
    func isNotSaved() throws {
        let worker = try WorkerProcess()
        let folder = try TemporaryFolder()
        let host = try RemoteHost.connect(worker.address)
        let model = try Model(
            contentsOf: TestModels.url(TestModels.shape("llama")), device: host.devices[0])
        let engine = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        try engine.prefill([1, 2, 3])
        worker.kill()
        #expect { try engine.saveSlot([1, 2, 3], to: folder.url.appendingPathComponent("a.cache")) } throws: {
            ($0 as? GgmlError)?.kind == .lost
        }
        #expect(try folder.names.isEmpty)
    }

    @Test(
        "a place where no worker is, is refused with its name",
        arguments: ["127.0.0.1", "127.0.0.1:0", "a:b", "[::1:5", ":7"])
    func badAddresses(_ address: String) {
        #expect { try RemoteHost.connect(address) } throws: { "\($0)".contains("'\(address)'") }
    }

    @Test("nobody, somebody silent and a worker that is busy are refused in time")
    func noAnswer() throws {
        let clock = ContinuousClock()
        let closed = "127.0.0.1:\(try FreePort.find())"
        #expect { try RemoteHost.connect(closed) } throws: { "\($0)".contains(closed) }
        let silent = try FreePort.Listener()
        let start = clock.now
        #expect(throws: GgmlError.self) { try RemoteHost.connect("127.0.0.1:\(silent.port)") }
        #expect(clock.now - start < .seconds(10))
        let worker = try WorkerProcess()
        _ = try RemoteHost.connect(worker.address)
        // The same worker under another name is another connection.
        #expect { try RemoteHost.connect("localhost:\(worker.port)") } throws: { "\($0)".contains("another program") }
    }
}
