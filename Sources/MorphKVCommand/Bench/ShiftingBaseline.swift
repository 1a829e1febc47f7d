internal import ArgumentParser
internal import Foundation
internal import MorphKV

/// libllama with its context shift: when the context is full, half of what follows the first token is forgotten and the rest
/// moves up, as llama.cpp's programs do.
final class ShiftingBaseline: FedSequence {
    private let baseline: LibllamaBaseline
    private let length: Int
    private var position = 0
    private(set) var logits: [Float]

    /// - Parameter length: entries of the context.
    /// - Throws: `GgmlError` if the file cannot be used; `ValidationError` for models whose state cannot forget a part.
    init(_ model: Model, length: Int, threads: Int) throws {
        guard model.description.recurrentBlocks.isEmpty else {
            throw ValidationError("libllama cannot shift the context of a model with blocks without attention")
        }
        baseline = try LibllamaBaseline(
            LibllamaBaseline.Weights(path: model.url.path), context: length, flashAttention: false, threads: threads)
        self.length = length
        logits = Array(repeating: 0, count: model.description.vocabularySize)
    }

    func decode(_ token: Token) throws {
        if position == length {
            let forgotten = (length - 1) / 2
            baseline.forget(1..<1 + forgotten, of: length)
            position -= forgotten
        }
        try baseline.decode([token], at: position)
        position += 1
        baseline.readLogits(into: &logits)
    }
}
