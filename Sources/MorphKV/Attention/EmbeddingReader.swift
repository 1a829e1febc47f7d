internal import Ggml

/// Looks up what blocks get of tokens: their scaled embeddings, and the numbers of each block's own if there are some.
final class EmbeddingReader {
    /// A table of the model, of which rows are read.
    private struct Table {
        let tensor: Tensor
        let scale: Float
        var row: [Float]
        var raw: [UInt8]

        init(_ tensor: Tensor, scale: Float) {
            self.tensor = tensor
            self.scale = scale
            row = Array(repeating: 0, count: tensor[0])
            raw = Array(repeating: 0, count: tensor.type.bytes(tensor[0]))
        }

        /// Reads a token's numbers into ``row``.
        mutating func read(_ token: Token) {
            raw.withUnsafeMutableBytes { tensor.read(into: $0, at: Int(token) * $0.count) }
            row.withUnsafeMutableBufferPointer { target in
                raw.withUnsafeBytes { tensor.type.dequantize($0.baseAddress!, into: target) }
            }
            if scale != 1 { for index in row.indices { row[index] *= scale } }
        }
    }

    private let model: Model
    private var tables: [Table]

    init(_ model: Model) {
        self.model = model
        let (description, weights) = (model.description, model.weights.value)
        tables = [Table(weights.tokenEmbeddings, scale: description.embeddingScale)]
        if let own = weights.perLayerInputs {
            tables.append(Table(own.table, scale: Float(description.perLayerLength).squareRoot()))
        }
    }

    /// The residual stream of some tokens before the first block, in memory of its own, `[streamLength, tokens]`.
    ///
    /// - Throws: `GgmlError` when memory is short.
    func stream(of tokens: some Collection<Token>, on backend: Backend) throws -> Tensor {
        let arena = try Arena(tensors: 1)
        let stream = arena.tensor(.f32, [model.description.streamLength, tokens.count], name: "stream")
        try arena.allocate(on: backend)
        guard model.description.hasStreams else {
            // Another host gets each write as a message; in this one's memory nothing is copied twice.
            let batch = backend.device.usesHostMemory ? 1 : 64
            var values: [Float] = []
            for (column, token) in tokens.enumerated() {
                tables[0].read(token)
                values += tables[0].row
                guard (column + 1) % batch == 0 || column == tokens.count - 1 else { continue }
                stream.write(values, at: (column + 1) * stream[0] - values.count)
                values.removeAll(keepingCapacity: true)
            }
            return stream
        }
        let all = Array(tokens)
        for start in stride(from: 0, to: all.count, by: Prefill.chunk) {
            try enter(all[start..<min(start + Prefill.chunk, all.count)], at: start, of: stream, on: backend)
        }
        return stream
    }

    /// Makes the streams of some tokens of what is looked up.
    private func enter(_ tokens: ArraySlice<Token>, at start: Int, of stream: Tensor, on backend: Backend) throws {
        let graph = try Graph(on: backend, capacity: 96)
        let block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        let input = graph.input(.f32, [model.description.inputLength, tokens.count], name: "embeddings")
        let (hidden, own) = block.enter(input)
        let columns = graph.view(
            stream, [stream[0], tokens.count], strides: [stream.strides[1]], offset: start * stream.strides[1])
        graph.schedule(graph.copy(hidden, to: block.place(of: columns)))
        if let own {
            let place = graph.view(
                columns, [own[0], own[1]], strides: [columns.strides[1]],
                offset: 4 * model.description.hiddenLength)
            graph.schedule(graph.copy(own, to: place))
        }
        try graph.allocate()
        for (column, token) in tokens.enumerated() { write(token, to: input, column: column) }
        try graph.compute()
    }

    /// Writes what is looked up of a token into a column of `[inputLength, tokens]`.
    func write(_ token: Token, to target: Tensor, column: Int) {
        var offset = column * target[0]
        for index in tables.indices {
            tables[index].read(token)
            target.write(tables[index].row, at: offset)
            offset += tables[index].row.count
        }
    }
}
