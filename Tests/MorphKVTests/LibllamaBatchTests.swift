import Foundation
import Ggml
import MorphKV
import Testing

/// Sequences that are decoded together, each against libllama alone; and what rounding does to deep models.
@Suite struct LibllamaBatchTests {
    @Test(
        "logits of sequences that are decoded together equal libllama's", arguments: ArchitectureTests.all,
        [ElementType.f32, ElementType(named: "q4_K")!])
    func togetherAsAlone(_ architecture: String, _ type: ElementType) throws {
        let shape = TestModels.shape(architecture, queryHeads: 8, kvHeads: 2)
        let url = try TestModels.url(shape, type)
        let model = try Model(contentsOf: url)
        var sequences: [(engine: Engine, oracle: LibllamaOracle, other: LibllamaOracle, expected: [Float])] = []
        for length in [12, 33, 70] {
            let oracle = try LibllamaOracle(url, contextLength: 256)
            let other = try LibllamaOracle(url, contextLength: 256, repacks: false)
            let engine = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
            let prompt = TestModels.tokens(length, seed: UInt64(length))
            try engine.prefill(prompt)
            _ = other.feed(prompt, at: 0)
            sequences.append((engine, oracle, other, oracle.feed(prompt, at: 0).last!))
        }
        let batch = try Batch(model, threads: 1)
        var (worst, theirs) = (LogitDifference(), LogitDifference())
        for step in 0..<16 {
            let tokens = sequences.map { Token(argmax($0.expected)) }
            for (index, sequence) in sequences.enumerated() {
                sequences[index].expected = sequence.oracle.feed([tokens[index]], at: sequence.engine.seen)[0]
                let other = sequence.other.feed([tokens[index]], at: sequence.engine.seen)[0]
                theirs.note(other, sequences[index].expected, "")
            }
            try batch.decode(Array(zip(sequences.map(\.engine), tokens)))
            for (index, sequence) in sequences.enumerated() {
                worst.note(sequence.engine.logits, sequence.expected, "step \(step) of sequence \(index)")
            }
        }
        // Weights in another layout add up in another order, and what falls on the other side of a rounding differs: libllama from
        // itself by as much.
        let tolerance = type == .f32 ? 1e-4 : max(5e-3 * Float(shape.layers), 2 * theirs.relative)
        #expect(worst.relative <= tolerance, "\(worst.place)")
        #expect(worst.otherTokens.isEmpty, "\(worst.otherTokens)")
    }

    /// The only difference between a prompt as a whole and token by token is the order of sums.
    @Test("what a deep model differs by is rounding: libllama differs from itself by as much", arguments: [12, 20, 23])
    func depthIsRounding(_ layers: Int) throws {
        var shape = TestModels.shape("gemma3n", tied: true)
        (shape.layers, shape.feedForward) = (layers, 512)
        let url = try TestModels.url(shape)
        let tokens = TestModels.tokens(60, seed: 7)
        let whole = try LibllamaOracle(url, contextLength: 256).feed(tokens, at: 0)
        let stepping = try LibllamaOracle(url, contextLength: 256)
        let engine = try Engine(
            Model(contentsOf: url), CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let ours = try engine.prefill(tokens, wantsAllLogits: true)
        var (between, theirs) = (LogitDifference(), LogitDifference())
        for (index, row) in whole.enumerated() {
            between.note(Array(ours[index * row.count..<(index + 1) * row.count]), row, "\(index)")
            theirs.note(stepping.feed([tokens[index]], at: index)[0], row, "\(index)")
        }
        #expect(between.relative <= 4 * theirs.relative, "\(between.relative) beside \(theirs.relative)")
    }
}
