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
            on: engine.backend, capacity: 16 + d.layers.count * 4, allocator: GraphAllocator(on: engine.backend))
        let queries = graph.input(.f32, [d.headDimension, d.queryHeads, 1], name: "queries")
        let keys = graph.input(.f32, [d.headDimension, d.kvHeads, 1], name: "keys")
        let values = graph.input(.f32, [d.headDimension, d.kvHeads, 1], name: "values")
        for layer in d.layers.indices {
            let projections = BlockGraph.Projections(input: queries, queries: queries, keys: keys, values: values)
            graph.schedule(attention.attend(projections, layer: layer, in: graph))
        }
        try graph.allocate()
        var random = SplitMix64(seed: 3)
        for input in [queries, keys, values] { input.write(random.normals(input.shape.reduce(1, *))) }
    }

    /// Drops the steps so far.
    package func restart() { engine.clear() }

    /// Decodes a token.
    package func step(_ token: Token) throws { try engine.decode(token) }

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
