internal import Ggml

/// Calibrates one layer after the other: reads all texts into the layer, solves, counts, and takes the texts through it.
///
/// A text's residual stream stays in memory from layer to layer. A layer computes its queries and keys twice, once for what
/// is learned and once on the way to the next layer, so that one stream per text is enough.
final class CalibrationPass {
    /// What was learned about a layer.
    struct Learned {
        var fit: RidgeRegression.Fit
        /// `[window][threshold][kvHead]`, flat.
        var counts: [Float]
    }

    private let model: Model
    private let texts: [Calibrator.Text]
    private let options: Calibrator.Options
    private let reader: LayerReader
    private let streams: [Tensor]

    init(_ model: Model, _ texts: [Calibrator.Text], _ options: Calibrator.Options, threads: Int) throws {
        self.model = model
        self.texts = texts
        self.options = options
        let reader = try LayerReader(model, longest: texts.map(\.tokens.count).max() ?? 0, threads: threads)
        self.reader = reader
        streams = try texts.map { try reader.stream(of: $0.tokens) }
    }

    /// Learns a layer.
    ///
    /// - Parameter progress: called after each text.
    func learn(_ index: Int, progress: () throws -> Void) throws -> Learned {
        let (description, geometry) = (model.description, model.description.geometry(of: index))
        let sums = try RegressionSums(
            ages: options.ages, width: description.embeddingLength, kvHeads: geometry.kvHeads, on: backend)
        for (text, stream) in zip(texts, streams) {
            try observe(stream, text, index, into: sums)
            try progress()
        }
        try sums.finish()
        let regression = RidgeRegression(
            penalty: options.penalty, isLearned: options.areLearned(by: texts.map(\.tokens.count), model),
            threads: backend.threads)
        var fit = try regression.fit(sums)
        // As the file will have them.
        let encoded = storedType.encoded(fit.weights)
        fit.weights = storedType.decoded(encoded)
        guard fit.weights.allSatisfy(\.isFinite) else {
            throw CacheError(.calibration, "weights of layer \(index) are too large for 16 bits; is the model damaged?")
        }
        var counts = EntryCounts(
            ages: options.ages, windows: options.windows, thresholds: options.thresholds, geometry: geometry)
        for (text, stream) in zip(texts, streams) {
            let scores = try scores(of: stream, by: encoded, fit.biases, index)
            counts.add(scores, tokens: text.tokens.count, answer: text.answer)
        }
        return Learned(fit: fit, counts: counts.means()).padded(to: description, geometry, options)
    }

    /// Takes the texts through a layer.
    ///
    /// - Parameter progress: called after each text.
    func advance(_ index: Int, progress: () throws -> Void) throws {
        for stream in streams {
            try reader.advance(stream, through: index)
            try progress()
        }
    }

    /// How the file will have the weights.
    private var storedType: ElementType { Calibration.usualType(width: model.description.embeddingLength) }

    private var backend: Backend { reader.backend }

    // MARK: What is learned from a text

    private func observe(_ stream: Tensor, _ text: Calibrator.Text, _ index: Int, into sums: RegressionSums) throws {
        var future = FutureWeights(
            ages: options.ages, kvHeads: model.description.geometry(of: index).kvHeads, tokens: text.tokens.count)
        try reader.weigh(stream, in: index) { weights in
            future.add(weights.values, of: weights.queries, visible: weights.visible, threads: backend.threads)
        }
        guard future.isFinite else {
            throw CacheError(.calibration, "layer \(index) computes numbers that are not finite; is the model damaged?")
        }
        let targets = future.targets()
        try reader.forEachChunk(of: stream) { range in
            let inputs = try normed(stream, range, index) { $1 }
            let own = targets[range.lowerBound * sums.rows..<range.upperBound * sums.rows]
            try sums.add(inputs: inputs, targets: Array(own), left: stream[1] - 1 - range.lowerBound)
        }
    }

    /// The scores of a text's tokens: `[token][kvHead * ages + age]`.
    private func scores(
        of stream: Tensor, by encoded: [UInt8], _ intercepts: [Float], _ index: Int
    ) throws -> [Float] {
        let arena = try Arena(tensors: 2)
        let weights = arena.tensor(storedType, [model.description.embeddingLength, intercepts.count], name: "weights")
        let biases = arena.tensor(.f32, [intercepts.count], name: "biases")
        try arena.allocate(on: backend)
        weights.write(encoded)
        biases.write(intercepts)
        var scores: [Float] = []
        try reader.forEachChunk(of: stream) { range in
            scores += try normed(stream, range, index) { graph, input in
                graph.add(graph.matmul(weights, input), biases)
            }
        }
        return scores
    }

    /// Something made of the layer's normed input of some tokens.
    private func normed(
        _ stream: Tensor, _ range: Range<Int>, _ index: Int, _ make: (Graph, Tensor) -> Tensor
    ) throws -> [Float] {
        let graph = try Graph(
            on: backend, capacity: 16 + model.description.streamOperations, allocator: reader.allocator)
        let columns = graph.view(
            stream, [stream[0], range.count], strides: [stream.strides[1]],
            offset: range.lowerBound * stream.strides[1])
        let block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        let result = make(graph, block.attentionInput(block.streams(of: columns).hidden, layer: index))
        graph.output(result)
        try graph.allocate()
        try graph.compute()
        return result.values()
    }
}

extension CalibrationPass.Learned {
    /// The same for as many KV heads as the layer with most of them has; nothing is said of those that this one lacks.
    fileprivate func padded(
        to description: DecoderDescription, _ geometry: LayerGeometry, _ options: Calibrator.Options
    ) -> Self {
        let missing = description.kvHeads - geometry.kvHeads
        guard missing > 0 else { return self }
        let rows = missing * options.ages.count
        var all = self
        all.fit.weights += Array(repeating: 0, count: rows * description.embeddingLength)
        all.fit.biases += Array(repeating: 0, count: rows)
        all.fit.explained += Array(repeating: nil, count: rows)
        all.counts = stride(from: 0, to: counts.count, by: geometry.kvHeads).flatMap {
            Array(counts[$0..<$0 + geometry.kvHeads]) + Array(repeating: 0, count: missing)
        }
        return all
    }
}
