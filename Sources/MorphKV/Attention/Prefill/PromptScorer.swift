internal import Ggml

/// Scores a prompt's entries in one layer, a batch of queries at a time, so that the whole matrix of attention weights
/// never exists.
struct PromptScorer {
    /// What the layer's rule makes of the queries; nil if it does not look at them.
    let scoring: (any PromptScoring)?
    let prompt: PromptEntries
    let mask: AttentionMask
    let kernel: PromptKernel?

    /// How many of the prompt's last queries count.
    var countedQueries: Int { scoring?.countedQueries(of: prompt.tokens.count) ?? 0 }

    /// The queries of one chunk of the prompt and what they see.
    struct Chunk {
        /// Queries `[headDim, queryHeads, count]` of tokens of the prompt, as a view in a given graph.
        let queries: (Graph, Range<Int>) -> Tensor
        /// The prompt's tokens whose queries count.
        let tokens: Range<Int>
        /// The keys they see: `[headDim, visible, kvHeads]`, as a view in a given graph.
        let keys: (Graph) -> Tensor
        let visible: Int
        /// A term of each query head's softmax that no entry gets; nil if there is none.
        let sinks: Tensor?
        /// Whose queries they are; see ``DecoderDescription/reader(_:)``.
        let reader: Int
    }

    /// Takes a chunk of the prompt into the table of all entries.
    func score(_ chunk: Chunk, into table: inout ScoreTable) throws {
        guard let scoring else { return }
        let hasScores = kernel == nil || !scoring.talliesReceived
        let size = hasScores ? chunk.visible * prompt.geometry.queryHeads : 1
        for tokens in PromptBatch.ranges(of: chunk.tokens, scores: size) {
            try score(chunk, tokens, by: scoring, into: &table)
        }
    }

    private func score(
        _ chunk: Chunk, _ tokens: Range<Int>, by scoring: any PromptScoring, into table: inout ScoreTable
    ) throws {
        let graph = try Graph(on: prompt.backend, capacity: 512, allocator: prompt.allocator)
        let first = prompt.tokens.lowerBound
        let positions = first + tokens.lowerBound..<first + tokens.upperBound
        let (queries, keys, sinks) = (chunk.queries(graph, tokens), chunk.keys(graph), chunk.sinks)
        let scores = graph.scale(graph.matmul(keys, graph.permute(queries, [0, 2, 1, 3])), by: prompt.scale)
        let maskShape = [chunk.visible, positions.count, mask.shape(queries: positions)[2]]
        let kernel = kernel.map { kernel -> PromptBatch.Kernel in
            { reduction, factors in
                kernel.received(
                    queries: queries, of: positions, keys: keys, sinks: sinks, sight: mask.sight(queries: positions),
                    factors: factors, reduction: reduction, in: graph)
            }
        }
        let batch = PromptBatch(
            graph: graph, queries: queries, scores: scores, sinks: sinks, reader: chunk.reader, positions: positions,
            end: prompt.tokens.upperBound, geometry: prompt.geometry, maskShape: maskShape,
            maskValues: { mask.values(queries: positions, visible: chunk.visible) }, kernel: kernel)
        let result = scoring.tally(batch)
        graph.output(result)
        try graph.allocate()
        batch.writeInputs()
        try graph.compute()
        scoring.collect(result.values(), of: positions, visible: chunk.visible, reader: chunk.reader, into: &table)
    }
}
