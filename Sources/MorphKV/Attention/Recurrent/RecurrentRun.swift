internal import Ggml

/// Runs a text through blocks without attention, in chunks inside a block; a sequence's state goes on.
struct RecurrentRun {
    let model: Model
    let backend: Backend
    let allocator: GraphAllocator
    /// What was remembered before the text, and then after it; nil for models without such blocks.
    let state: RecurrentState?
    private let recurrence: any Recurrence

    /// - Parameter isFused: whether the kernel computes, or graphs do; nil: as the device can.
    init(
        _ model: Model, _ state: RecurrentState?, isFused: Bool? = nil, on backend: Backend, allocator: GraphAllocator
    ) throws {
        self.model = model
        self.backend = backend
        self.allocator = allocator
        self.state = state
        if state != nil, isFused ?? backend.device.usesHostMemory {
            recurrence = KernelRecurrence(model.description, runs: 1, level: try KernelLevel.current())
        } else {
            recurrence = GraphRecurrence(state)
        }
    }

    /// The same for a text that stands by itself, or goes on from what was remembered of another.
    init(_ model: Model, after copy: RecurrentCopy? = nil, on backend: Backend, allocator: GraphAllocator) throws {
        let state = try RecurrentState(model.description)
        try state?.allocate(on: backend)
        if let copy { state?.restore(copy) }
        try self.init(model, state, on: backend, allocator: allocator)
    }

    /// Takes a text through the blocks between a layer and the one before it.
    ///
    /// - Parameters:
    ///   - stream: the residual stream of the text, `[embedding, tokens]`; overwritten.
    ///   - wanted: the tokens whose stream somebody reads afterwards; nil: all. The others go no further than it takes to be
    ///     remembered.
    func run(_ stream: Tensor, before layer: Int, wanted: Range<Int>? = nil) throws {
        let blocks = model.description.recurrentBlocks(before: layer)
        for block in blocks {
            let output = block == blocks.last ? wanted : nil
            for start in stride(from: 0, to: stream[1], by: Prefill.chunk) {
                let range = start..<min(start + Prefill.chunk, stream[1])
                try run(stream, range, output: output?.clamped(to: range) ?? range, through: block)
            }
        }
    }

    private func run(_ stream: Tensor, _ range: Range<Int>, output: Range<Int>, through index: Int) throws {
        let operations = 24 + model.description.recurrentBlocks[index].operations
        let graph = try Graph(on: backend, capacity: operations, allocator: allocator)
        (recurrence as? KernelRecurrence)?.describe([(state, range.count)])
        let block = blocks(in: graph)
        let mixed = block.mix(columns(stream, range, in: graph), recurrentBlock: index, by: recurrence)
        guard !output.isEmpty else {
            graph.schedule(mixed)
            try graph.allocate()
            return try graph.compute()
        }
        let ours = output.lowerBound - range.lowerBound..<output.upperBound - range.lowerBound
        let target = columns(stream, output, in: graph)
        let middle = { block.middle(columns(mixed, ours, in: graph), input: target, recurrentBlock: index) }
        let half = block.secondHalf(ofRecurrentBlock: index)
        let experts = ExpertRun(half, of: middle, at: target, in: block, allocator: allocator)
        if experts == nil { graph.schedule(graph.copy(block.pass(middle(), through: half), to: target)) }
        try graph.allocate()
        try graph.compute()
        try experts?.run(model) { columns(stream, output, in: $0) }
    }

    /// The logits of some tokens whose residual stream went through all blocks, `vocabulary` values each.
    func logits(_ stream: Tensor, of tokens: Range<Int>) throws -> [Float] {
        var all: [Float] = []
        for start in stride(from: tokens.lowerBound, to: tokens.upperBound, by: Prefill.chunk) {
            let graph = try Graph(on: backend, capacity: 16, allocator: allocator)
            let range = start..<min(start + Prefill.chunk, tokens.upperBound)
            let logits = blocks(in: graph).logits(columns(stream, range, in: graph))
            graph.output(logits)
            try graph.allocate()
            try graph.compute()
            all += logits.values()
        }
        return all
    }

    private func blocks(in graph: Graph) -> BlockGraph {
        BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
    }

    private func columns(_ stream: Tensor, _ range: Range<Int>, in graph: Graph) -> Tensor {
        graph.view(
            stream, [stream[0], range.count], strides: [stream.strides[1]],
            offset: range.lowerBound * stream.strides[1])
    }
}
