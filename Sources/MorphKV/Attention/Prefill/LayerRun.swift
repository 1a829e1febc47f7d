internal import Ggml

/// Runs parts of a text through one layer, whose keys and values for all of it lie in scratch memory.
struct LayerRun {
    let model: Model
    let backend: Backend
    let allocator: GraphAllocator
    /// The block, from the input; see ``DecoderDescription/attentionBlock(_:)``.
    let index: Int
    let scratch: PrefillScratch
    /// The residual stream of the text, `[streamLength, tokens]`; overwritten.
    let stream: Tensor
    let mask: AttentionMask
    /// Entries per KV head from before the text, at the front of the scratch memory.
    let oldCount: Int
    /// The position of the text's first token.
    let seen: Int
    /// Where rotated positions are counted from.
    var base = 0
    /// What the text repeats, where the kernel is to note its largest weights; kept until the last run.
    var repeated: RepeatedRows?
    /// What is wanted of the tokens' normed input besides; nil if nothing is.
    var features: ((Tensor, Graph) -> Tensor)?
    /// Of the text, where the stream has other texts' too; all of the stream's if nil.
    var tokens: Int?

    private var entries: Int { oldCount + (tokens ?? stream[1]) }
    /// Whether no block follows.
    var isLast: Bool { index == model.description.attentionBlockCount - 1 && model.description.endsWithAttention }

    /// Runs tokens `range`; only tokens `output` get through attention and the feed-forward network.
    ///
    /// - Parameter keepsQueries: whether the queries of `range` are left in the scratch memory.
    /// - Returns: in the last layer, the logits of `output`; and the features of `range` if they are wanted.
    @discardableResult
    func run(
        _ range: Range<Int>, output: Range<Int>, keepsQueries: Bool
    ) throws -> (logits: [Float], features: [Float]) {
        let description = model.description
        scratch.kernel?.forgetNoted()
        let operations =
            128 + description.streamOperations + description.attentionBlock(index).feedForward.operations
        let graph = try Graph(on: backend, capacity: operations, allocator: allocator)
        let block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        let positions = TokenPositions(range.count, model.description, in: graph)
        let (hidden, _) = block.streams(of: columns(range, in: graph))
        let p = block.project(hidden, layer: index, positions: positions)
        if let keys = p.keys, let values = p.values { keep(keys, values, of: range, in: graph) }
        if keepsQueries {
            graph.schedule(graph.copy(p.queries, to: scratch.queries(0..<range.count, in: graph)))
        }
        let features = features?(p.input, graph)
        features.map(graph.output)
        var maskInput: Tensor?
        var ending = Ending()
        if !output.isEmpty {
            let attended = attend(
                p, from: range.lowerBound, output: output, notes: keepsQueries, in: graph, mask: &maskInput)
            let gate = p.gate.map { part($0, output.lowerBound - range.lowerBound, output.count, in: graph) }
            ending = finish(attended, gate: gate, output: output, in: block)
        }
        try graph.allocate()
        for (column, token) in range.enumerated() {
            positions.set(seen + token, frame: RotaryFrame(base: base), at: column)
        }
        positions.write()
        maskInput?.write(mask.values(queries: seen + output.lowerBound..<seen + output.upperBound))
        try graph.compute()
        let result = (logits: ending.logits?.values() ?? [Float](), features: features?.values() ?? [Float]())
        if let experts = ending.experts { try experts.run(model) { columns(output, in: $0) } }
        return result
    }

    /// Leaves the keys and values of tokens `range`, `[headDim, kvHeads, tokens]`, in the scratch memory.
    func keep(_ keys: Tensor, _ values: Tensor, of range: Range<Int>, in graph: Graph) {
        let target = oldCount + range.lowerBound..<oldCount + range.upperBound
        let byHead = { graph.permute($0, [0, 2, 1, 3]) }
        graph.schedule(graph.copy(byHead(keys), to: scratch.keys(target, of: entries, in: graph)))
        graph.schedule(graph.copy(byHead(values), to: scratch.values(target, of: entries, in: graph)))
    }

    /// What comes of the second half of a block.
    struct Ending {
        /// In the last block.
        var logits: Tensor?
        /// What is left to do when the graph was computed.
        var experts: ExpertRun?
    }

    /// Describes what follows attention.
    func finish(_ attended: Tensor, gate: Tensor?, output: Range<Int>, in block: BlockGraph) -> Ending {
        let graph = block.graph
        let columns = columns(output, in: graph)
        let (input, own) = block.streams(of: columns)
        if !isLast, !model.description.hasStreams {
            let half = block.secondHalf(ofLayer: index)
            let middle = { block.middle(attended, gate: gate, input: input, layer: index) }
            if let experts = ExpertRun(half, of: middle, at: columns, in: block, allocator: allocator) {
                return Ending(experts: experts)
            }
        }
        let result = block.finish(attended, gate: gate, input: input, own: block.own(own, layer: index), layer: index)
        guard isLast else {
            graph.schedule(graph.copy(result, to: block.place(of: columns)))
            return Ending()
        }
        let logits = block.logits(result)
        graph.output(logits)
        return Ending(logits: logits)
    }

    func columns(_ range: Range<Int>, in graph: Graph) -> Tensor {
        part(stream, range.lowerBound, range.count, in: graph)
    }

    private func part(_ columns: Tensor, _ first: Int, _ count: Int, in graph: Graph) -> Tensor {
        graph.view(
            columns, [columns[0], count], strides: [columns.strides[1]], offset: first * columns.strides[1])
    }

    /// Attention of tokens `output` over everything up to them.
    ///
    /// - Parameters:
    ///   - first: the token whose projections come first.
    ///   - notes: whether what rows receive is asked for next.
    func attend(
        _ projections: BlockGraph.Projections, from first: Int, output: Range<Int>, notes: Bool, in graph: Graph,
        mask maskInput: inout Tensor?
    ) -> Tensor {
        let (d, heads) = (model.description.attentionBlock(index).headDimension, model.description.queryHeads)
        let visible = 0..<oldCount + output.upperBound
        let (queries, sinks) = (projections.queries, projections.sinks)
        let stride = queries.strides
        let part = graph.view(
            queries, [d, heads, output.count], strides: [stride[1], stride[2]],
            offset: (output.lowerBound - first) * stride[2])
        let (keys, values) = (
            scratch.keys(visible, of: entries, in: graph), scratch.values(visible, of: entries, in: graph)
        )
        let positions = seen + output.lowerBound..<seen + output.upperBound
        if let kernel = scratch.kernel {
            return kernel.attend(
                queries: part, keys: keys, values: values, sinks: sinks, sight: mask.sight(queries: positions),
                noting: notes ? positions : nil, repeated: repeated, in: graph)
        }
        let input = graph.input(.f16, mask.shape(queries: positions), name: "mask")
        maskInput = input
        let result = graph.flashAttention(
            q: graph.permute(part, [0, 2, 1, 3]), k: keys, v: values, mask: input,
            scale: model.description.attentionScale, sinks: sinks)
        return graph.reshape(result, [d * heads, output.count])
    }
}
