internal import Ggml

/// Takes many tokens through a block's experts: one expert after the other, each with all tokens that chose it.
///
/// ggml goes through repacked matrices token by token where tokens choose among them. A product of one matrix and many tokens
/// is faster, but which tokens these are has to be known before the graph is described: so there are two graphs.
struct ExpertRun {
    private let half: BlockGraph.SecondHalf
    private let experts: FeedForward.Experts
    private let choice: BlockGraph.ExpertChoice
    private let backend: Backend
    private let allocator: GraphAllocator

    /// Tokens that an expert has on average, from which on this is faster.
    private static let fewest = 8

    /// Describes the first graph's end: who gets which experts. Gives nil where one graph does as well: without experts, with
    /// few tokens for each, elsewhere than in the host's memory.
    ///
    /// - Parameters:
    ///   - half: of the block.
    ///   - middle: describes the residual stream between the halves of the block, `[embedding, tokens]`.
    ///   - columns: where it waits for ``run(_:on:)``.
    init?(
        _ half: BlockGraph.SecondHalf, of middle: () -> Tensor, at columns: Tensor, in block: BlockGraph,
        allocator: GraphAllocator
    ) {
        let graph = block.graph
        guard let experts = half.description.experts, !experts.hasOwnNorms, graph.backend.device.usesHostMemory,
            columns[1] * experts.used >= Self.fewest * experts.count
        else { return nil }
        let middle = middle()
        let choice = block.choice(middle, of: half)
        self.choice = BlockGraph.ExpertChoice(indices: graph.contiguous(choice.indices), weights: choice.weights)
        graph.output(self.choice.indices)
        graph.output(self.choice.weights)
        graph.schedule(graph.copy(middle, to: columns))
        self.half = half
        self.experts = experts
        self.allocator = allocator
        backend = graph.backend
    }

    /// Takes the tokens through the second half, when the first graph was computed.
    ///
    /// - Parameter columns: the columns in a graph.
    func run(_ model: Model, on columns: (Graph) -> Tensor) throws {
        let groups =
            backend.isRehearsal
            ? nil : ExpertGroups(choice.indices.values(), shares: choice.weights.values(), experts)
        // So that what is allocated does not depend on what is chosen.
        let tokens = choice.indices[1]
        try allocator.reserve(half.description, size: tokens, on: backend) {
            _ = try describe(.largest(tokens: tokens, experts), model, columns)
        }
        guard let groups else { return }
        let (graph, inputs) = try describe(groups, model, columns)
        inputs.write()
        try graph.compute()
    }

    private func describe(
        _ groups: ExpertGroups, _ model: Model, _ columns: (Graph) -> Tensor
    ) throws -> (Graph, ExpertGroups.Inputs) {
        let operations = 64 + half.description.operations + groups.operations
        let graph = try Graph(on: backend, capacity: operations, allocator: allocator)
        let middle = columns(graph)
        let inputs = ExpertGroups.Inputs(groups, width: middle[0], in: graph)
        let block = BlockGraph(graph: graph, description: model.description, weights: model.weights.value)
        graph.schedule(graph.copy(block.pass(middle, through: half, groups: inputs), to: middle))
        try graph.allocate()
        return (graph, inputs)
    }
}
