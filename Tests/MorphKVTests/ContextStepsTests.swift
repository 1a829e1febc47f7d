import Foundation
import Ggml
import Testing

@testable import MorphKV

/// What `morphkv context-bench` measures.
@Suite struct ContextStepsTests {
    @Test("random contexts have the size of real ones and are cut to their share, unevenly")
    func randomContexts() throws {
        let model = try TestContexts.model("gemma3")
        let options = CacheOptions(policy: FullPolicy(), elementType: .f16)
        let whole = try CompressedContext(random: 150, model: model, options: options)
        let real = try TestContexts.make(model, tokens: 150, type: .f16).statistics
        #expect(whole.statistics.allocatedBytes == real.allocatedBytes && whole.statistics.entries == real.entries)
        var cut = whole
        try cut.compressAtRandom(ratio: 0.3)
        let counts = zip(cut.statistics.entries, model.description.layers).filter { $1.slidingWindow == nil }
            .flatMap(\.0)
        #expect(counts.reduce(0, +) == Int(Double(counts.count * 150) * 0.3) - 1 && Set(counts).count > 1)
        #expect(throws: CacheError.self) { try cut.compressAtRandom(ratio: 2) }
    }

    @Test("attention alone leaves no trace in the steps", arguments: [1.0, 0.3])
    func attentionAlone(_ ratio: Double) throws {
        var context = try TestContexts.make(TestContexts.model())
        try context.compress(TestContexts.compression(ratio), threads: 1)
        let (plain, disturbed) = (
            try ContextSteps(context, threads: 1, reserve: 4), try ContextSteps(context, threads: 1, reserve: 4)
        )
        for token in TestModels.tokens(6, seed: 4) {
            try disturbed.attend()
            try disturbed.attend()
            try disturbed.step(token)
            try plain.step(token)
            #expect(disturbed.logits == plain.logits)
        }
        let after = plain.logits
        plain.restart()
        for token in TestModels.tokens(6, seed: 4) { try plain.step(token) }
        #expect(plain.logits == after)
    }
}
