internal import Ggml

/// The graph of one step of a number of tokens: described once, computed for every step.
final class StepGraph {
    private let graph: Graph
    private let embeddings: Tensor
    private let positions: Tensor
    /// Which columns' logits are wanted; nil if all.
    private let wanted: Tensor?
    private let logits: Tensor
    private let attention: any StepAttention
    private let reader: EmbeddingReader

    /// - Parameters:
    ///   - columns: tokens per step.
    ///   - outputs: how many of them need logits.
    ///   - operations: an upper bound on the operations, views and inputs of a layer.
    init(
        _ model: Model, columns: Int, outputs: Int, attention: any StepAttention, operations: Int, on backend: Backend,
        allocator: GraphAllocator
    ) throws {
        let description = model.description
        let layers = description.layers.count
        self.attention = attention
        reader = EmbeddingReader(model)
        graph = try Graph(on: backend, capacity: 64 + layers * operations, allocator: allocator)
        embeddings = graph.input(.f32, [description.embeddingLength, columns], name: "embeddings")
        positions = graph.input(.i32, [columns], name: "positions")
        let wanted = outputs < columns ? graph.input(.i32, [outputs], name: "wanted") : nil
        self.wanted = wanted
        let block = BlockGraph(graph: graph, description: description, weights: model.weights.value)
        var x = embeddings
        for layer in 0..<layers {
            let projections = block.project(x, layer: layer, positions: positions)
            x = block.finish(attention.attend(projections, layer: layer, in: graph), input: x, layer: layer)
        }
        if let wanted { x = graph.rows(x, at: wanted) }
        logits = block.logits(x)
        graph.output(logits)
        try graph.allocate()
    }

    /// Feeds the tokens of some sequences, whose caches have room.
    func run(_ feeds: ArraySlice<Feed>) throws {
        attention.prepare(feeds)
        var column = 0
        for (index, feed) in feeds.enumerated() {
            for (offset, token) in feed.tokens.enumerated() {
                reader.write(token, to: embeddings, column: column)
                positions.write(Int32(feed.cache.seen - feed.cache.frame.base + offset), at: column)
                column += 1
            }
            wanted?.write(Int32(column - 1), at: index)
        }
        for unread in feeds.count..<max(feeds.count, wanted?.count ?? 0) { wanted!.write(Int32(0), at: unread) }
        try graph.compute()
    }

    /// The logits after the last token of feed `index` of the last run.
    func output(_ index: Int) -> StepOutput { StepOutput(logits: logits, index: index) }
}

/// Where a step's logits for one sequence lie until the next step.
struct StepOutput {
    fileprivate let logits: Tensor
    fileprivate let index: Int

    /// Copies the logits, one per token id.
    func read(into target: inout [Float]) {
        target.withUnsafeMutableBytes { logits.read(into: $0, at: index * $0.count) }
    }
}
