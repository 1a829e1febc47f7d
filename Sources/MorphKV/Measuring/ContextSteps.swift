internal import Ggml

/// Decode steps on top of a context, and their attention alone: what a benchmark times.
package final class ContextSteps {
    private let engine: Engine
    private let graph: Graph
    private let attention: FusedAttention

    /// - Parameters:
    ///   - threads: CPU threads.
    ///   - reserve: steps that there is room for at once.
    /// - Throws: ``CacheError`` when the context cannot be attended to, `GgmlError` when memory is short.
    package init(_ context: CompressedContext, threads: Int, reserve: Int) throws {
        let d = context.model.description
        engine = try context.engine(threads: threads, reserve: reserve)
        attention = FusedAttention(d, columns: 1, workspace: try AttentionWorkspace(threads: threads))
        graph = try Graph(
            on: engine.backend, capacity: 16 + d.attentionBlockCount * 6, allocator: GraphAllocator(on: engine.backend))
        var inputs: [[Int]: Tensor] = [:]
        func input(_ shape: [Int], _ name: String) -> Tensor {
            let input = inputs[shape] ?? graph.input(.f32, shape, name: name)
            inputs[shape] = input
            return input
        }
        for index in 0..<d.attentionBlockCount {
            let layer = d.attentionBlock(index)
            let queries = input([layer.headDimension, d.queryHeads, 1], "queries")
            let entry = d.reader(index) == 0 ? input([layer.headDimension, layer.kvHeads, 1], "entry") : nil
            let projections = BlockGraph.Projections(input: queries, queries: queries, keys: entry, values: entry)
            graph.schedule(attention.attend(projections, layer: index, in: graph))
        }
        try graph.allocate()
        var random = SplitMix64(seed: 3)
        for input in inputs.values { input.write(random.normals(input.shape.reduce(1, *))) }
    }

    /// Drops the steps so far.
    package func restart() { engine.clear() }

    /// Decodes a token.
    package func step(_ token: Token) throws { try engine.decode(token) }

    /// Reads a question.
    package func read(_ question: [Token]) throws { try engine.prefill(question) }

    /// The logits after the last step.
    package var logits: [Float] { engine.logits }

    /// Does what attention does in the next step, in all layers: writes a key and a value, which that step overwrites,
    /// and reads all that are seen.
    package func attend() throws {
        try engine.cache.grow(by: 1)
        attention.prepare([Feed(cache: engine.cache, tokens: [0])])
        try graph.compute()
    }
}
