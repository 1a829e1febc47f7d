import CLlama
import Foundation
import Ggml
import MorphKV
import TestSupport
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
        var promptLength = 130

        var testDescription: String {
            "\(architecture) \(queryHeads)/\(kvHeads) \(tied ? "tied" : "untied") \(type) \(note)"
        }
    }

    static let types: [ElementType] = [.f32, .f16, .q8_0, ElementType(named: "q4_K")!]
    static let heads = [(8, 8), (8, 2), (8, 1)]

    /// Every architecture with every type; the head counts and tying take turns, so that each meets most of the others.
    static let cases: [Case] = Model.architectures.enumerated().flatMap { a, architecture in
        types.enumerated().map { t, type in
            let turn = (6 - a % 3 - t % 3) % 3
            return Case(
                architecture: architecture, queryHeads: heads[turn].0, kvHeads: heads[turn].1,
                tied: (a + t + turn) % 2 == 0, type: type)
        }
    }

    static let scaled: [Case] =
        [
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
            Case(
                architecture: "olmo2", queryHeads: 8, kvHeads: 2, tied: false, type: .f32,
                adjust: {
                    $0.layers = 5
                    $0.slidingWindow = 40
                    $0.ropeScaling = "yarn"
                    $0.extraFloats["rope.scaling.factor"] = 4
                    $0.extraFloats["rope.scaling.attn_factor"] = 1.2
                    $0.extraIntegers["rope.scaling.original_context_length"] = 64
                }, note: "with local layers and YaRN, as OLMo 3"),
            Case(
                architecture: "gemma3n", queryHeads: 4, kvHeads: 2, tied: true, type: .f32,
                adjust: {
                    $0.layers = 23
                    $0.feedForward = 512
                }, note: "with blocks that share keys"),
            Case(
                architecture: "qwen3next", queryHeads: 8, kvHeads: 2, tied: false, type: types[3],
                adjust: { $0.fusesExperts = true }, note: "with gate and up of experts in one tensor"),
            Case(
                architecture: "granite", queryHeads: 8, kvHeads: 2, tied: true, type: .f32,
                adjust: { $0.extraFlags["rope.scaling.finetuned"] = false }, note: "without RoPE"),
        ] + mixtures + variants

    static let variants = TestModels.variants.keys.sorted().flatMap { name in
        [ElementType.f32, .q8_0].map {
            Case(architecture: name, queryHeads: 8, kvHeads: 2, tied: !name.hasPrefix("olmo2"), type: $0)
        }
    }

    /// Experts where the architecture also runs without, and in other numbers.
    static let mixtures: [Case] = [
        ("llama", FeedForward.Experts(count: 8, used: 2), types[3]), ("llama", .init(count: 3, used: 3), .f32),
        ("mistral3", .init(count: 4, used: 1), types[2]), ("granite", .init(count: 4, used: 2, sharedLength: 32), .f16),
        ("qwen3moe", .init(count: 5, used: 1), .f32),
        ("gpt-oss", .init(count: 4, used: 2), ElementType(named: "mxfp4")!),
    ].map { architecture, experts, type in
        Case(
            architecture: architecture, queryHeads: 8, kvHeads: 2, tied: true, type: type,
            adjust: { $0.experts = experts }, note: "with \(experts.used) of \(experts.count) experts")
    }

    @Test("full-cache logits equal libllama's over a prompt and decode steps", arguments: cases + scaled)
    func logitsEqualLibllamas(_ test: Case) throws {
        var shape = TestModels.shape(
            test.architecture, queryHeads: test.queryHeads, kvHeads: test.kvHeads, tied: test.tied)
        test.adjust(&shape)
        let url = try TestModels.url(shape, test.type)
        // What falls on the other side of a rounding in quantised products adds up over layers: 1e-2 for two.
        // So does rounding, in models that are deep.
        let deep: Float = shape.layers > 8 ? 10 : 1
        let tolerance: Float = test.type == .f32 ? 1e-4 * deep : 5e-3 * Float(shape.layers)
        let worst = try difference(of: url, prompt: TestModels.tokens(test.promptLength, seed: 7))
        // Our own products and libllama's add up in different orders, so some of those roundings fall otherwise, as they do between
        // libllama's own layouts (LibllamaBatchTests); and where two experts are as good as equal, that decides which a token gets.
        let isRounded = test.type != .f32 && test.type != .f16
        let most = isRounded ? (shape.experts != nil ? 0.15 : 3 * tolerance) : tolerance
        #expect(worst.relative <= most, "\(worst.relative) at \(worst.place)")
        #expect(worst.otherTokens.isEmpty, "\(worst.otherTokens)")
    }

    @Test("trained models give libllama's logits", arguments: [Fixtures.diary, Fixtures.logbook, Fixtures.stories])
    func trainedModelsGiveLibllamasLogits(_ url: URL) throws {
        let layers = try Model(contentsOf: url).description.blockCount
        let worst = try difference(of: url, prompt: TestModels.tokens(300, seed: 8))
        #expect(worst.relative <= 5e-3 * Float(layers), "\(worst.place)")
        #expect(worst.otherTokens.isEmpty, "\(worst.otherTokens)")
    }

    /// The logits of a prompt and of 24 greedy steps beside libllama's.
    private func difference(of url: URL, prompt: [Token]) throws -> LogitDifference {
        let oracle = try LibllamaOracle(url, contextLength: 2048)
        let engine = try Engine(
            Model(contentsOf: url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        var worst = LogitDifference()
        var expected = oracle.feed(prompt, at: 0)
        let all = try engine.prefill(prompt, wantsAllLogits: true)
        for (index, row) in expected.enumerated() {
            worst.note(Array(all[index * row.count..<(index + 1) * row.count]), row, "prompt \(index)")
        }
        for step in 0..<24 {
            let token = Token(argmax(expected.last!))
            expected = oracle.feed([token], at: prompt.count + step)
            try engine.decode(token)
            worst.note(engine.logits, expected[0], "step \(step)")
        }
        return worst
    }
}

extension LibllamaTests {
    @Test("greedy answers are libllama's", arguments: ArchitectureTests.all)
    func greedyAnswersAreLibllamas(_ architecture: String) throws {
        let url = try TestModels.url(TestModels.shape(architecture))
        let oracle = try LibllamaOracle(url, contextLength: 512)
        let engine = try Engine(
            Model(contentsOf: url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let prompt = TestModels.tokens(20, seed: 9)
        try engine.prefill(prompt)
        var theirs = [Token(argmax(oracle.feed(prompt, at: 0).last!))]
        var ours = [Token(argmax(engine.logits))]
        while theirs.count < 200 {
            theirs.append(Token(argmax(oracle.feed([theirs.last!], at: prompt.count + theirs.count - 1)[0])))
            try engine.decode(ours.last!)
            ours.append(Token(argmax(engine.logits)))
        }
        #expect(ours == theirs)
    }
}
