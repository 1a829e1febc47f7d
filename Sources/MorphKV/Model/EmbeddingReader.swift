internal import Ggml

/// Reads the scaled embeddings of tokens out of the model's table.
final class EmbeddingReader {
    private let table: Tensor
    private let scale: Float
    private var row: [Float]
    private var raw: [UInt8]

    init(_ model: Model) {
        table = model.weights.value.tokenEmbeddings
        scale = model.description.embeddingScale
        row = Array(repeating: 0, count: model.description.embeddingLength)
        raw = Array(repeating: 0, count: table.type.bytes(row.count))
    }

    /// The embeddings of some tokens in memory of their own, `[embedding, tokens]`.
    ///
    /// - Throws: `GgmlError` when memory is short.
    func stream(of tokens: some Collection<Token>, on backend: Backend) throws -> Tensor {
        let arena = try Arena(tensors: 1)
        let stream = arena.tensor(.f32, [row.count, tokens.count], name: "stream")
        try arena.allocate(on: backend)
        for (column, token) in tokens.enumerated() { write(token, to: stream, column: column) }
        return stream
    }

    /// Writes a token's embedding into a column of `[embedding, tokens]`.
    func write(_ token: Token, to target: Tensor, column: Int) {
        raw.withUnsafeMutableBytes { table.read(into: $0, at: Int(token) * $0.count) }
        row.withUnsafeMutableBufferPointer { target in
            raw.withUnsafeBytes { table.type.dequantize($0.baseAddress!, into: target) }
        }
        if scale != 1 { for index in row.indices { row[index] *= scale } }
        target.write(row, at: column * row.count)
    }
}
