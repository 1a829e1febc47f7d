import CAttention
import CLlama
import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// The fused kernel against the graph of ggml's operations, through the engine.
@Suite struct FusedAttentionTests {
    static let policies = [
        "full", "streaming:capacity=24,sinks=2", "h2o:capacity=24,window=5", "tova:capacity=24,heads=group",
        "tova:capacity=24,heads=layer", "morphkv:capacity=24,window=6", "morphkv:capacity=24,window=6,fusion=max",
        "morphkv:capacity=24,window=6,normalization=candidates",
        "morphkv:capacity=24,window=6,fusion=max,normalization=candidates,group=max",
        "morphkv:capacity=24,window=6,group=max,sinks=3", "morphkv:capacity=24,window=6,evictAfter=1.5",
        "morphkv:capacity=24,window=6,fusion=max,evictAfter=2", "morphkv:capacity=24,window=6,decay=0.9",
        "augur:capacity=24,window=6", "augur:capacity=24,window=6,lambda=0", "augur:capacity=24,budgets=even",
        "augur:capacity=24,window=6,prompt=0.5", "morphkv:capacity=24,window=6,budgets=layer",
        "streaming:capacity=24,budgets=layer", "keydiff:capacity=24,window=6,budgets=layer",
        "keydiff:capacity=24,window=6", "random:capacity=24,window=5,seed=7", "random:capacity=24,window=0,prompt=0.3",
        "streaming:capacity=24,sinks=2,prompt=0.5", "h2o:capacity=24,window=5,prompt=0.4",
        "tova:capacity=24,heads=layer,prompt=0.5", "morphkv:capacity=24,window=6,prompt=0.5",
        "morphkv:capacity=24,window=6,fusion=max,normalization=candidates,group=max,prompt=0.5",
        "morphkv:capacity=24,window=6,evictAfter=1.5,prompt=0.6", "keydiff:capacity=24,window=6,prompt=0.5",
        "snapkv:promptCapacity=24,window=6", "pyramidkv:promptCapacity=24,window=6",
    ]

    @Test(
        "the kernel keeps what the graph keeps and gives the same logits", arguments: policies, ["llama", "gemma3"])
    func equalsTheGraph(_ policy: String, architecture: String) throws {
        let model = try TestCalibrations.model(TestModels.shape(architecture, queryHeads: 4, kvHeads: 2))
        let engines = try [CacheOptions.AttentionPath.graph, .fused].map { path in
            try Engine(
                model,
                CacheOptions(
                    policy: PolicyRegistry.standard.policy(policy), elementType: .f32, attention: path),
                threads: 1)
        }
        for engine in engines { try engine.prefill(TestModels.tokens(37, seed: 5)) }
        for token in TestModels.tokens(60, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, 2e-4)
            #expect(engines[1].positions == engines[0].positions)
        }
        // A second prompt on top sees the same scores.
        for engine in engines { try engine.prefill(TestModels.tokens(9, seed: 7)) }
        expectClose(engines[1].logits, engines[0].logits, 2e-4)
        #expect(engines[1].positions == engines[0].positions)
    }

    @Test("keys and values may be of any type the kernel reads", arguments: CacheType.allCases.filter { $0 != .f32 })
    func types(_ type: CacheType) throws {
        let model = try Model(
            contentsOf: TestModels.url(TestModels.shape("llama", queryHeads: 4, kvHeads: 2)))
        let exact = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let stored = try [(type, CacheType.f32), (.f32, type), (type, type)].map { keys, values in
            try Engine(
                model, CacheOptions(policy: FullPolicy(), elementType: keys, valueType: values), threads: 1)
        }
        for engine in [exact] + stored { try engine.prefill(TestModels.tokens(20, seed: 1)) }
        for token in TestModels.tokens(20, seed: 2) {
            for engine in [exact] + stored { try engine.decode(token) }
            for engine in stored { expectClose(engine.logits, exact.logits, type == .f16 ? 2e-2 : 0.2) }
        }
        let bytes = stored[2].statistics.plannedBytes
        #expect(bytes < exact.statistics.plannedBytes * 6 / 10)
    }

    @Test(
        "rows are stored bit for bit as ggml stores them", arguments: CacheType.allCases.filter { $0.blockLength > 1 })
    func storedAsByGgml(_ type: CacheType) {
        var random = SeededNumbers(7)
        // One block of zeros, one of equal numbers, one whose largest number is negative.
        let rows: [[Float]] =
            [Array(repeating: 0, count: 32), Array(repeating: -1.5, count: 32), (0..<32).map { Float($0) - 31 }]
            + (0..<200).map { row in (0..<32).map { _ in random.floats(1)[0] * Float(row % 7 + 1) } }
        for row in rows {
            var (ours, theirs) = (Data(count: type.bytes(32)), Data(count: type.bytes(32)))
            ours.withUnsafeMutableBytes { attention_store_row(type.kernelType, row, $0.baseAddress!, 32) }
            _ = theirs.withUnsafeMutableBytes {
                ggml_quantize_chunk(ggml_type(type.elementType.rawValue), row, $0.baseAddress!, 0, 1, 32, nil)
            }
            #expect(ours == theirs, "\(row)")
        }
    }

    @Test("what cannot be computed is refused: types without a kernel, blocks that do not fit")
    func refusals() throws {
        #expect(CacheType(named: "i32") == nil && CacheType(named: "q4_K") == nil)
        var shape = TestModels.shape("llama", queryHeads: 4, kvHeads: 2)
        shape.headDimension = 24
        let odd = try Model(contentsOf: TestModels.url(shape))
        #expect(throws: CacheError.self) {
            try Engine(odd, CacheOptions(policy: FullPolicy(), elementType: .q8_0), threads: 1)
        }
    }
}
