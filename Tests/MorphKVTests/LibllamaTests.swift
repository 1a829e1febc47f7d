import CLlama
import Foundation
import Ggml
import MorphKV
import Testing

/// Full-cache logits of every architecture against libllama on the same file.
@Suite struct LibllamaTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let architecture: String
        let queryHeads: Int
        let kvHeads: Int
        let tied: Bool
        let type: ElementType
        var adjust: @Sendable (inout ModelShape) -> Void = { _ in }
        var note = ""
        var promptLength = 300

        var testDescription: String {
            "\(architecture) \(queryHeads)/\(kvHeads) \(tied ? "tied" : "untied") \(type) \(note)"
        }
    }

    static let types: [ElementType] = [.f32, .f16, .q8_0, ElementType(named: "q4_K")!]
    static let heads = [(8, 8), (8, 2), (8, 1)]

    /// Every architecture with every type; the head counts and tying take turns, so that each meets each architecture.
    static let cases: [Case] = Model.architectures.enumerated().flatMap { a, architecture in
        types.enumerated().flatMap { t, type in
            heads.enumerated().filter { h, _ in type == .f32 || (a + t + h) % 3 == 0 }.map { h, heads in
                Case(
                    architecture: architecture, queryHeads: heads.0, kvHeads: heads.1, tied: (a + t + h) % 2 == 0,
                    type: type)
            }
        }
    }

    static let scaled: [Case] = [
        Case(
            architecture: "llama", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
            note: "with a prompt of several internal chunks", promptLength: 1100),
        Case(
            architecture: "llama", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
            adjust: { $0.hasRopeFactors = true }, note: "with RoPE factors"),
        Case(
            architecture: "llama", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
            adjust: {
                $0.ropeScaling = "linear"
                $0.extraFloats["rope.scaling.factor"] = 4
            }, note: "with linear RoPE scaling"),
        Case(
            architecture: "qwen2", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
            adjust: {
                $0.ropeScaling = "yarn"
                $0.extraFloats["rope.scaling.factor"] = 4
                $0.extraIntegers["rope.scaling.original_context_length"] = 128
            }, note: "with YaRN"),
        Case(
            architecture: "phi3", queryHeads: 8, kvHeads: 2, tied: false, type: .f32,
            adjust: {
                $0.hasRopeFactors = true
                $0.extraFloats["rope.scaling.attn_factor"] = 1.19
                $0.extraIntegers["rope.scaling.original_context_length"] = 256
            }, note: "with long RoPE factors"),
        Case(
            architecture: "phi3", queryHeads: 8, kvHeads: 2, tied: false, type: .f32,
            adjust: {
                $0.hasRopeFactors = true
                $0.extraIntegers["rope.scaling.original_context_length"] = 2048
            }, note: "with short RoPE factors"),
        Case(
            architecture: "gemma3", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
            adjust: {
                $0.extraFloats["final_logit_softcapping"] = 30
                $0.extraFloats["rope.freq_base_swa"] = 5000
            }, note: "with softcap and local RoPE base"),
    ]

    @Test("full-cache logits equal libllama's over a prompt and decode steps", arguments: cases + scaled)
    func logitsEqualLibllamas(_ test: Case) throws {
        var shape = TestModels.shape(
            test.architecture, queryHeads: test.queryHeads, kvHeads: test.kvHeads, tied: test.tied)
        test.adjust(&shape)
        let url = try TestModels.url(shape, test.type)
        let prompt = TestModels.tokens(test.promptLength, seed: 7)
        let oracle = try LibllamaOracle(url, contextLength: 2048)
        let engine = try Engine(
            Model(contentsOf: url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let tolerance: Float = test.type == .f32 ? 1e-4 : 1e-2

        var worst = Difference()
        var expected = oracle.feed(prompt, at: 0)
        let all = try engine.prefill(prompt, wantsAllLogits: true)
        for (index, row) in expected.enumerated() {
            worst.note(Array(all[index * row.count..<(index + 1) * row.count]), row, "prompt \(index)")
        }
        for step in 0..<64 {
            let token = Token(argmax(expected.last!))
            expected = oracle.feed([token], at: prompt.count + step)
            try engine.decode(token)
            worst.note(engine.logits, expected[0], "step \(step)")
        }
        #expect(worst.relative <= tolerance, "\(worst.place)")
        #expect(worst.otherTokens.isEmpty, "\(worst.otherTokens)")
    }
}

/// The largest difference between two series of logits, relative to their range.
private struct Difference {
    var relative: Float = 0
    var place = ""
    /// Where the greedy token differs although the margin exceeds the difference.
    var otherTokens: [String] = []

    mutating func note(_ ours: [Float], _ theirs: [Float], _ place: String) {
        let error = zip(ours, theirs).map { abs($0 - $1) }.max()!
        let range = theirs.max()! - theirs.min()!
        if !(error / range <= relative) {
            relative = error / range
            self.place = place
        }
        let sorted = theirs.sorted(by: >)
        if sorted[0] - sorted[1] > 2 * error, argmax(ours) != argmax(theirs) { otherTokens.append(place) }
    }
}

private func argmax(_ logits: [Float]) -> Int { logits.indices.max { logits[$0] < logits[$1] }! }
