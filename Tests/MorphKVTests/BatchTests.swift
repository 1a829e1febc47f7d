import Foundation
import Ggml
import MorphKV
import Testing

/// Sequences that are decoded together.
@Suite struct BatchTests {
    /// One sequence: its policy, and the lengths of its prompt and its answer.
    private static let sequences = [
        ("morphkv:capacity=24,window=6", 40, 50), ("full", 7, 60), ("streaming:capacity=16,sinks=2", 33, 20),
        ("tova:capacity=20,heads=layer", 12, 45), ("morphkv:capacity=24,window=6,fusion=max,evictAfter=1.5", 30, 60),
        ("h2o:capacity=24,window=5", 25, 33), ("full", 90, 10), ("augur:capacity=20,window=4", 31, 45),
        ("augur:capacity=16,window=4,lambda=0,budgets=head", 9, 50),
        ("h2o:capacity=24,window=5,prompt=0.5", 30, 40), ("keydiff:capacity=20,window=5", 28, 41),
        ("random:capacity=20,window=5", 9, 37),
    ]

    @Test(
        "a sequence gives bit for bit the same logits whatever else is in the batch",
        arguments: ["f32", "f16", "q8_0", "q4_K", "q4_0"], [1, 2])
    func independence(_ type: String, threads: Int) throws {
        // Eight heads make rows long enough for every type's blocks, and for the layouts they are repacked into.
        let model = try TestCalibrations.model(
            TestModels.shape("llama", queryHeads: 8, kvHeads: 2), #require(ElementType(named: type)))
        func engines() throws -> [Engine] {
            try Self.sequences.enumerated().map { index, sequence in
                let policy = try PolicyRegistry.standard.policy(sequence.0)
                let engine = try Engine(model, CacheOptions(policy: policy), threads: 1)
                try engine.prefill(TestModels.tokens(sequence.1, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let tokens = Self.sequences.indices.map { TestModels.tokens(60, seed: 100 + UInt64($0)) }
        let (batch, alone) = (try Batch(model, threads: threads), try Batch(model, threads: threads))
        for step in 0..<60 {
            // Sequences leave the batch as their answers end.
            let running = Self.sequences.indices.filter { step < Self.sequences[$0].2 }
            try batch.decode(running.map { (together[$0], tokens[$0][step]) })
            for index in running { try alone.decode([(apart[index], tokens[index][step])]) }
            for index in running { #expect(together[index].logits == apart[index].logits, "step \(step), \(index)") }
        }
        for (one, other) in zip(together, apart) { #expect(one.positions == other.positions) }
    }

    @Test(
        "a sequence gives the same logits bit for bit in every architecture",
        arguments: Model.architectures, ["f32", "q4_K"])
    func independenceOfArchitectures(_ architecture: String, type: String) throws {
        let shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 2)
        let model = try TestCalibrations.model(shape, #require(ElementType(named: type)))
        let policies = [
            "morphkv:capacity=20,window=4", "full", "augur:capacity=16,window=4", "h2o:capacity=20,window=4",
        ]
        func engines() throws -> [Engine] {
            try policies.enumerated().map { index, policy in
                let options = CacheOptions(policy: try PolicyRegistry.standard.policy(policy))
                let engine = try Engine(model, options, threads: 1)
                try engine.prefill(TestModels.tokens(17 + index, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let (batch, alone) = (try Batch(model, threads: 2), try Batch(model, threads: 2))
        for step in 0..<12 {
            let token = Token(step * 7)
            try batch.decode(together.map { ($0, token) })
            for engine in apart { try alone.decode([(engine, token)]) }
            for (one, other) in zip(together, apart) { #expect(one.logits == other.logits, "step \(step)") }
        }
    }

    @Test("sequences whose formulas want the same features of tokens share their steps, whatever else differs")
    func sharedFeatures() throws {
        let model = try TestCalibrations.model(TestModels.shape("gemma3"))
        func stepBytes(_ policies: [String]) throws -> Int {
            let engines = try policies.map {
                try Engine(model, CacheOptions(policy: PolicyRegistry.standard.policy($0)), threads: 1)
            }
            for engine in engines { try engine.prefill([1, 2, 3]) }
            let batch = try Batch(model, threads: 1)
            try batch.decode(engines.map { ($0, 4) })
            return batch.computeBytes
        }
        // In a cache of 60 entries the layers that see 96 tokens go by score, in one of 200 they do not.
        let mixed = [
            "augur:capacity=200", "augur:capacity=200,lambda=0.06", "augur:capacity=200,lambda=0",
            "augur:capacity=60,window=4",
        ]
        let one = try stepBytes(Array(repeating: mixed[0], count: 4))
        #expect(try stepBytes(mixed) == one)
        #expect(try stepBytes(["augur:capacity=200", "h2o:capacity=200", mixed[1], mixed[2]]) != one)
    }

    @Test("a bad token leaves every sequence of the batch as it was")
    func badToken() throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let engines = try (0..<3).map { _ in try Engine(model, .morphKV(capacity: 12, window: 4), threads: 1) }
        for engine in engines { try engine.prefill([1, 2, 3]) }
        let batch = try Batch(model, threads: 1)
        #expect(throws: CacheError.self) { try batch.decode([(engines[0], 1), (engines[1], -5), (engines[2], 1)]) }
        #expect(engines.allSatisfy { $0.seen == 3 })
        try batch.decode(engines.map { ($0, 4) })
        #expect(engines.allSatisfy { $0.seen == 4 && $0.logits == engines[0].logits })
    }
}
