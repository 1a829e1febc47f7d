internal import Ggml

/// The graph of one step of a number of tokens: described once, computed for every step. Where layers are on several devices,
/// there is one for each of them, and the hidden state goes from one to the next.
final class StepGraph {
    /// The layers of one device.
    private struct Segment {
        let graph: Graph
        /// What was looked up of tokens, or the residual streams after the device before.
        let input: Tensor
        let positions: TokenPositions
        let block: BlockGraph

        init(_ model: Model, width: Int, columns: Int, capacity: Int, on backend: Backend, _ allocator: GraphAllocator)
            throws
        {
            graph = try Graph(on: backend, capacity: capacity, allocator: allocator)
            input = graph.input(.f32, [width, columns], name: "embeddings")
            positions = TokenPositions(columns, model.description, in: graph)
            block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        }
    }

    private var segments: [Segment] = []
    /// The residual streams after each segment but the last.
    private var handedOn: [Tensor] = []
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
        self.attention = attention
        reader = EmbeddingReader(model)
        let capacity = description.stepCapacity(operations: operations)
        func begin(_ width: Int, at layer: Int) throws -> Segment {
            try Segment(
                model, width: width, columns: columns, capacity: capacity, on: backend.at(layer), allocator)
        }
        var segment = try begin(description.inputLength, at: 0)
        let entered = segment.block.enter(segment.input)
        var x = entered.hidden
        for layer in 0..<description.attentionBlockCount {
            if backend.at(layer) !== segment.graph.backend {
                segment.graph.output(x)
                try segment.graph.allocate()
                segments.append(segment)
                handedOn.append(x)
                segment = try begin(x[0], at: layer)
                x = segment.input
            }
            let (graph, block) = (segment.graph, segment.block)
            let source = description.source(of: layer)
            if source == layer { x = block.passRecurrentBlocks(x, before: layer, by: attention.recurrence) }
            let isMoved = frozenLimit.map(description.geometry(of: source).sees) ?? false
            let projections = block.project(x, layer: layer, positions: segment.positions, movesFrozen: isMoved)
            let attended = attention.attend(projections, layer: layer, in: graph)
            x = block.finish(
                attended, gate: projections.gate, input: x, own: block.own(entered.own, layer: layer), layer: layer)
        }
        let (graph, block) = (segment.graph, segment.block)
        x = block.passRecurrentBlocks(x, before: description.layers.count, by: attention.recurrence)
        let wanted = outputs < columns ? graph.input(.i32, [outputs], name: "wanted") : nil
        self.wanted = wanted
        if let wanted { x = graph.rows(x, at: wanted) }
        logits = block.logits(x)
        graph.output(logits)
        try graph.allocate()
        segments.append(segment)
    }

    /// Operations of a step, views left out.
    var operationCount: Int { segments.reduce(0) { $0 + $1.graph.operationCount } }

    /// Feeds the tokens of some sequences, whose caches have room.
    func run(_ feeds: ArraySlice<Feed>) throws {
        attention.prepare(feeds)
        var column = 0
        for (index, feed) in feeds.enumerated() {
            for (offset, token) in feed.tokens.enumerated() {
                reader.write(token, to: segments[0].input, column: column)
                for segment in segments {
                    segment.positions.set(feed.cache.seen + offset, frame: feed.cache.frame, at: column)
                }
                column += 1
            }
            wanted?.write(Int32(column - 1), at: index)
        }
        for segment in segments { segment.positions.write() }
        for unread in feeds.count..<max(feeds.count, wanted?.count ?? 0) { wanted!.write(Int32(0), at: unread) }
        for (index, segment) in segments.enumerated() {
            if index > 0 { segment.input.write(handedOn[index - 1]) }
            try segment.graph.compute()
        }
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

extension DecoderDescription {
    /// An upper bound on the operations, views and inputs of a step.
    fileprivate func stepCapacity(operations: Int) -> Int {
        128 + attentionBlockCount * (operations + streamOperations)
            + (0..<attentionBlockCount).reduce(0) { $0 + attentionBlock($1).feedForward.operations }
            + recurrentBlocks.reduce(0) { $0 + $1.operations }
    }
}
