internal import Ggml

/// The graph of one step of a number of tokens: described once, computed for every step.
final class StepGraph {
    private let graph: Graph
    private let embeddings: Tensor
    private let positions: TokenPositions
    /// Which columns' logits are wanted; nil if all.
    private let wanted: Tensor?
    private let logits: Tensor
    private let attention: any StepAttention
    private let reader: EmbeddingReader

    /// - Parameters:
    ///   - columns: tokens per step.
    ///   - outputs: how many of them need logits.
    ///   - frozenLimit: how far layers see whose frozen entries are moved at least; nil if none are moved.
    ///   - operations: an upper bound on the operations, views and inputs of a layer without its experts.
    init(
        _ model: Model, columns: Int, outputs: Int, frozenLimit: Int? = nil, attention: any StepAttention,
        operations: Int, on backend: Backend, allocator: GraphAllocator
    ) throws {
        let description = model.description
        let layers = description.attentionBlockCount
        self.attention = attention
        reader = EmbeddingReader(model)
        let capacity =
            128 + layers * (operations + description.streamOperations)
            + (0..<layers).reduce(0) { $0 + description.attentionBlock($1).feedForward.operations }
            + description.recurrentBlocks.reduce(0) { $0 + $1.operations }
        let graph = try Graph(on: backend, capacity: capacity, allocator: allocator)
        self.graph = graph
        embeddings = graph.input(.f32, [description.inputLength, columns], name: "embeddings")
        positions = TokenPositions(columns, description, in: graph)
        let wanted = outputs < columns ? graph.input(.i32, [outputs], name: "wanted") : nil
        self.wanted = wanted
        let block = BlockGraph(graph: graph, description: description, weights: model.weights.value)
        let entered = block.enter(embeddings)
        var x = entered.hidden
        for layer in 0..<layers {
            let source = description.source(of: layer)
            if source == layer { x = block.passRecurrentBlocks(x, before: layer, by: attention.recurrence) }
            let isMoved = frozenLimit.map(description.geometry(of: source).sees) ?? false
            let projections = block.project(x, layer: layer, positions: positions, movesFrozen: isMoved)
            let attended = attention.attend(projections, layer: layer, in: graph)
            x = block.finish(
                attended, gate: projections.gate, input: x, own: block.own(entered.own, layer: layer), layer: layer)
        }
        x = block.passRecurrentBlocks(x, before: description.layers.count, by: attention.recurrence)
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
                positions.write(feed.cache.seen + offset, frame: feed.cache.frame, at: column)
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
