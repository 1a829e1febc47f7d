internal import Ggml

/// Takes texts through a model one layer after the other, and shows every attention weight of the layer at hand.
///
/// A text's residual stream stays in memory from layer to layer; keys, values and queries lie in scratch memory that all
/// texts share. The whole matrix of weights never exists: they come for a batch of queries at a time, at most 32 MB.
final class LayerReader {
    /// The weights of some of a text's queries.
    struct Weights {
        /// `[queryHead][query][visible]`, flat: of the text's first `visible` tokens.
        let values: UnsafeBufferPointer<Float>
        /// Which of the text's tokens they are.
        let queries: Range<Int>
        /// The text's tokens up to the last of the queries.
        let visible: Int
    }

    let model: Model
    let backend: Backend
    let allocator: GraphAllocator
    private let scratch: PrefillScratch
    private let embeddings: EmbeddingReader

    /// - Parameter longest: tokens of the longest text.
    init(_ model: Model, longest: Int, threads: Int) throws {
        try model.requireOneDevice(for: "reading attention weights")
        self.model = model
        embeddings = EmbeddingReader(model)
        backend = try Backend(model.device, threads: threads)
        allocator = try GraphAllocator(on: backend)
        scratch = try PrefillScratch(
            model.description, .f32, .f32, entries: longest, queries: min(longest, Prefill.chunk), on: backend)
    }

    /// The residual stream of a text before the first layer, `[streamLength, tokens]`.
    func stream(of tokens: [Token]) throws -> Tensor {
        let stream = try embeddings.stream(of: tokens, on: backend)
        try passRecurrentBlocks(stream, before: 0)
        return stream
    }

    /// Takes a text through a layer, and through blocks without attention to the next one.
    func advance(_ stream: Tensor, through index: Int) throws {
        try forEachChunk(of: stream) { range in
            try run(stream, index).run(range, output: range, keepsQueries: false)
        }
        try passRecurrentBlocks(stream, before: index + 1)
    }

    private func passRecurrentBlocks(_ stream: Tensor, before layer: Int) throws {
        try RecurrentRun(model, on: backend, allocator: allocator).run(stream, before: layer)
    }

    /// Shows the weights of a text in a layer, in the order of its tokens; the stream stays as it is.
    ///
    /// - Parameter first: the first token whose query is wanted.
    func weigh(_ stream: Tensor, in index: Int, from first: Int = 0, _ take: (Weights) throws -> Void) throws {
        let run = run(stream, index)
        try forEachChunk(of: stream) { range in
            let wanted = min(max(range.lowerBound, first), range.upperBound)..<range.upperBound
            try run.run(range, output: 0..<0, keepsQueries: !wanted.isEmpty)
            for queries in PromptBatch.ranges(of: wanted, scores: range.upperBound * model.description.queryHeads) {
                try weigh(queries, in: range, run, take)
            }
        }
    }

    /// Does something for each part of a text that is computed at once.
    func forEachChunk(of stream: Tensor, _ body: (Range<Int>) throws -> Void) throws {
        for start in stride(from: 0, to: stream[1], by: Prefill.chunk) {
            try body(start..<min(start + Prefill.chunk, stream[1]))
        }
    }

    private func run(_ stream: Tensor, _ index: Int) -> LayerRun {
        scratch.begin(model.description.layers[index])
        let mask = AttentionMask(
            oldPositions: [], newPositions: 0..<stream[1],
            slidingWindow: model.description.layers[index].slidingWindow, queryHeads: model.description.queryHeads)
        return LayerRun(
            model: model, backend: backend, allocator: allocator, index: index, scratch: scratch, stream: stream,
            mask: mask, oldCount: 0, seen: 0)
    }

    /// Takes the weights of some queries of a chunk, which lie in the scratch memory.
    private func weigh(
        _ queries: Range<Int>, in chunk: Range<Int>, _ run: LayerRun, _ take: (Weights) throws -> Void
    ) throws {
        let visible = queries.upperBound
        let graph = try Graph(on: backend, capacity: 32, allocator: allocator)
        let own = queries.lowerBound - chunk.lowerBound..<queries.upperBound - chunk.lowerBound
        let scores = graph.matmul(
            scratch.keys(0..<visible, of: run.stream[1], in: graph),
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
            try take(Weights(values: values, queries: queries, visible: visible))
        } else {
            let values: [Float] = weights.values()
            try values.withUnsafeBufferPointer {
                try take(Weights(values: $0, queries: queries, visible: visible))
            }
        }
    }
}
