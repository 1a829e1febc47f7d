internal import Ggml

/// The graph of one decode step of one sequence, of ggml's own operations: built once, executed for every token.
final class DecodeGraph {
    private let graph: Graph
    private let layers: [LayerCache]
    private let embedding: Tensor
    private let position: Tensor
    private let steps: [StepInputs]
    private let logits: Tensor

    private let reader: EmbeddingReader

    init(_ model: Model, _ cache: KVCache, on backend: Backend) throws {
        reader = EmbeddingReader(model)
        let description = model.description
        // Reductions over the votes of a window take a few operations per halving, besides those of the block.
        let perLayer = 384
        graph = try Graph(on: backend, capacity: 64 + description.layers.count * perLayer)
        layers = cache.layers
        embedding = graph.input(.f32, [description.embeddingLength, 1], name: "embedding")
        position = graph.input(.i32, [1], name: "position")
        var shared: [StepInputs.Key: StepInputs] = [:]
        let block = BlockGraph(graph: graph, description: description, weights: model.weights.value)
        var x = embedding
        for (index, layer) in layers.enumerated() {
            let key = StepInputs.Key(layer.plan)
            let inputs = shared[key] ?? StepInputs(layer, in: graph)
            shared[key] = inputs
            let attention = DecodeAttention(
                graph: graph, cache: layer, inputs: inputs, scale: description.attentionScale)
            let projections = block.project(x, layer: index, positions: position)
            x = block.finish(attention.attend(projections), input: x, layer: index)
        }
        steps = Array(shared.values)
        logits = block.logits(x)
        graph.output(logits)
        try graph.allocate()
    }

    /// Bytes of intermediate results.
    var allocatedBytes: Int { graph.allocatedBytes }

    /// Whether the graph was built for these very layers.
    func serves(_ cache: KVCache) -> Bool { zip(layers, cache.layers).allSatisfy { $0 === $1 } }

    /// Feeds one token and leaves its logits in `output`.
    func run(_ token: Token, at position: Int, into output: inout [Float]) throws {
        reader.write(token, to: embedding, column: 0)
        self.position.write(Int32(position))
        for step in steps { step.fill(position: position) }
        try graph.compute()
        output.withUnsafeMutableBytes { logits.read(into: $0) }
    }
}
