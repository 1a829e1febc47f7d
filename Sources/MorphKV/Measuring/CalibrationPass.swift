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
    private let backend: Backend
    private let allocator: GraphAllocator
    private let scratch: PrefillScratch
    private let streams: [Tensor]

    init(_ model: Model, _ texts: [Calibrator.Text], _ options: Calibrator.Options, threads: Int) throws {
        self.model = model
        self.texts = texts
        self.options = options
        backend = try Backend(model.device, threads: threads)
        allocator = try GraphAllocator(on: backend)
        let longest = texts.map(\.tokens.count).max() ?? 0
        scratch = try PrefillScratch(
            model.description, .f32, .f32, entries: longest, queries: min(longest, Prefill.chunk), on: backend)
        let reader = EmbeddingReader(model)
        streams = try texts.map { [backend] in try reader.stream(of: $0.tokens, on: backend) }
    }

    /// Learns a layer.
    ///
    /// - Parameter progress: called after each text.
    func learn(_ index: Int, progress: () throws -> Void) throws -> Learned {
        let (description, geometry) = (model.description, model.description.geometry(of: index))
        let sums = try RegressionSums(
            ages: options.ages, width: description.embeddingLength, kvHeads: description.kvHeads, on: backend)
        for (text, stream) in zip(texts, streams) {
            try observe(stream, text, index, into: sums)
            try progress()
        }
        try sums.finish()
        let regression = RidgeRegression(
            penalty: options.penalty, leastTokens: options.leastTokens(model), threads: backend.threads)
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
        return Learned(fit: fit, counts: counts.means())
    }

    /// Takes the texts through a layer.
    ///
    /// - Parameter progress: called after each text.
    func advance(_ index: Int, progress: () throws -> Void) throws {
        for stream in streams {
            try forEachChunk(of: stream) { range in
                try run(stream, index).run(range, output: range, keepsQueries: false)
            }
            try progress()
        }
    }

    /// How the file will have the weights.
    private var storedType: ElementType { Calibration.usualType(width: model.description.embeddingLength) }

    private func run(_ stream: Tensor, _ index: Int) -> LayerRun {
        LayerRun(
            model: model, backend: backend, allocator: allocator, index: index, scratch: scratch, stream: stream,
            mask: mask(stream, index), oldCount: 0, seen: 0)
    }

    private func mask(_ stream: Tensor, _ index: Int) -> AttentionMask {
        AttentionMask(
            oldPositions: [], newPositions: 0..<stream[1],
            slidingWindow: model.description.layers[index].slidingWindow, queryHeads: model.description.queryHeads)
    }

    private func forEachChunk(of stream: Tensor, _ body: (Range<Int>) throws -> Void) throws {
        for start in stride(from: 0, to: stream[1], by: Prefill.chunk) {
            try body(start..<min(start + Prefill.chunk, stream[1]))
        }
    }

    // MARK: What is learned from a text

    private func observe(_ stream: Tensor, _ text: Calibrator.Text, _ index: Int, into sums: RegressionSums) throws {
        var future = FutureWeights(
            ages: options.ages, kvHeads: model.description.kvHeads, tokens: text.tokens.count)
        let run = run(stream, index)
        try forEachChunk(of: stream) { range in
            try run.run(range, output: 0..<0, keepsQueries: true)
            for queries in PromptBatch.ranges(of: range, scores: range.upperBound * model.description.queryHeads) {
                try weigh(queries, in: range, run, into: &future)
            }
        }
        guard future.isFinite else {
            throw CacheError(.calibration, "layer \(index) computes numbers that are not finite; is the model damaged?")
        }
        let targets = future.targets()
        try forEachChunk(of: stream) { range in
            let inputs = try normed(stream, range, index) { $1 }
            let own = targets[range.lowerBound * sums.rows..<range.upperBound * sums.rows]
            try sums.add(inputs: inputs, targets: Array(own), left: stream[1] - 1 - range.lowerBound)
        }
    }

    /// Takes the weights of some queries of a chunk, which lie in the scratch memory.
    private func weigh(
        _ queries: Range<Int>, in chunk: Range<Int>, _ run: LayerRun, into future: inout FutureWeights
    ) throws {
        let entries = run.stream[1]
        let visible = queries.upperBound
        let graph = try Graph(on: backend, capacity: 32, allocator: allocator)
        let own = queries.lowerBound - chunk.lowerBound..<queries.upperBound - chunk.lowerBound
        let scores = graph.matmul(
            scratch.keys(0..<visible, of: entries, in: graph),
            graph.permute(scratch.queries(own, in: graph), [0, 2, 1, 3]))
        let input = graph.input(.f16, [visible, queries.count], name: "mask")
        let weights = graph.softmax(
            scores, mask: input, scale: model.description.attentionScale,
            sinks: model.weights.value.layers[run.index].attentionSinks)
        graph.output(weights)
        try graph.allocate()
        input.write(run.mask.values(queries: queries))
        try graph.compute()
        if backend.device.usesHostMemory {
            let values = UnsafeBufferPointer(start: weights.hostFloats, count: weights.count)
            future.add(values, of: queries, visible: visible, threads: backend.threads)
        } else {
            let values: [Float] = weights.values()
            values.withUnsafeBufferPointer { future.add($0, of: queries, visible: visible, threads: backend.threads) }
        }
    }

    /// The scores of a text's tokens: `[token][kvHead * ages + age]`.
    private func scores(
        of stream: Tensor, by encoded: [UInt8], _ intercepts: [Float], _ index: Int
    ) throws -> [Float] {
        let arena = try Arena(tensors: 2)
        let weights = arena.tensor(storedType, [stream[0], intercepts.count], name: "weights")
        let biases = arena.tensor(.f32, [intercepts.count], name: "biases")
        try arena.allocate(on: backend)
        weights.write(encoded)
        biases.write(intercepts)
        var scores: [Float] = []
        try forEachChunk(of: stream) { range in
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
        let graph = try Graph(on: backend, capacity: 16, allocator: allocator)
        let columns = graph.view(
            stream, [stream[0], range.count], strides: [stream.strides[1]],
            offset: range.lowerBound * stream.strides[1])
        let block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        let result = make(graph, block.attentionInput(columns, layer: index))
        graph.output(result)
        try graph.allocate()
        try graph.compute()
        return result.values()
    }
}
