import Foundation
import Ggml
import Testing

@testable import MorphKV

/// KeyDiff's choice at a prompt, from its definition; its choices while an answer is written are in `RuleReferenceTests`.
@Suite struct KeyDiffTests {
    @Test(
        "a prompt keeps its window and the keys that are least like the mean direction of all",
        arguments: [CacheOptions.AttentionPath.fused, .graph], [(0, 60), (20, 45), (20, 1100)])
    func prompts(_ attention: CacheOptions.AttentionPath, _ lengths: (held: Int, new: Int)) throws {
        let model = try TestContexts.model()
        func engine(_ policy: any CachePolicy) throws -> Engine {
            try Engine(model, CacheOptions(policy: policy, elementType: .f32, attention: attention), threads: 1)
        }
        // The keys of all entries are those of a cache that holds everything: nothing goes before the cut.
        let (full, cut) = (try engine(FullPolicy()), try engine(KeyDiffPolicy(capacity: 24, window: 6)))
        let total = lengths.held + lengths.new
        let tokens = TestModels.tokens(total, seed: 7)
        for engine in [full, cut] {
            if lengths.held > 0 { try engine.prefill(Array(tokens[..<lengths.held])) }
            try engine.prefill(Array(tokens[lengths.held...]))
        }
        for (index, layer) in full.cache.layers.enumerated() {
            let all: [Float] = layer.keys.values()
            let d = layer.keys[0]
            for head in 0..<layer.keys[2] {
                let keys = (0..<total).map { entry in
                    (0..<d).map { Double(all[(head * layer.slots + entry) * d + $0]) }
                }
                #expect(cut.positions[index][head] == Self.kept(keys, count: 23, window: 6))
            }
        }
    }

    @Test("a longer prompt needs no more memory for its keys' scores than for attention itself")
    func memory() throws {
        var shape = TestModels.shape("llama", queryHeads: 4, kvHeads: 4)
        shape.headDimension = 128
        let model = try Model(contentsOf: TestModels.url(shape))
        func bytes(_ policy: any CachePolicy) throws -> Int {
            let options = CacheOptions(policy: policy, elementType: .q8_0)
            let engine = try Engine(model, options, threads: 1)
            try engine.prefill(TestModels.tokens(2000, seed: 5))
            return engine.computeBytes
        }
        #expect(try bytes(KeyDiffPolicy(capacity: 24, window: 6)) == bytes(StreamingPolicy(capacity: 24)))
    }

    private static func kept(_ keys: [[Double]], count: Int, window: Int) -> [Int] {
        let directions = keys.map(direction)
        let mean = direction(directions[0].indices.map { d in directions.reduce(0) { $0 + $1[d] } })
        let cosines = directions.map { zip($0, mean).reduce(0) { $0 + $1.0 * $1.1 } }
        let old = (0..<keys.count - window).sorted { cosines[$0] < cosines[$1] }.prefix(count - window)
        return (Array(old) + Array(keys.count - window..<keys.count)).sorted()
    }

    private static func direction(_ vector: [Double]) -> [Double] {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }
}
