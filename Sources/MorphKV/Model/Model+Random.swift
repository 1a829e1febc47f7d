public import Foundation
internal import Ggml

extension Model {
    /// Writes a tiny Llama with random weights and opens it, for tests and examples that need a model and not its wisdom.
    ///
    /// - Parameters:
    ///   - url: Where to write it.
    ///   - file: A GGUF file whose tokenizer it gets, and with it the size of its vocabulary.
    ///   - seed: The same seed and tokenizer give the same weights.
    /// - Throws: ``ModelError`` of kind `tokenizer` if the file has no tokenizer that can be used; an error of the file system
    ///   if the place cannot be written.
    public static func random(at url: URL, tokenizerOf file: URL, seed: UInt64 = 1) throws -> Model {
        let shape = ModelShape(
            "llama", embedding: 64, layers: 2, feedForward: 128, queryHeads: 4, kvHeads: 2, headDimension: 16,
            vocabulary: 0, tiesEmbeddings: true, context: 2048, ropeBase: 10000)
        var random = try RandomModel(shape, type: .f16, seed: seed, tokenizer: GgufFile(contentsOf: file))
        try random.write(to: url)
        return try Model(contentsOf: url)
    }
}
