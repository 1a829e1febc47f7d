internal import Ggml

/// Feeds tokens of one or more sequences through a model at once, so that the weights are read once for all of them.
///
/// The result for a sequence does not depend on which others take part.
final class Stepper {
    /// The next tokens of one sequence.
    struct Feed {
        let cache: KVCache
        let tokens: [Token]
    }

    private struct Shape: Hashable {
        let columns: Int
        let outputs: Int
    }

    private let model: Model
    private let backend: Backend
    private let memory: KernelMemory
    private let reader: EmbeddingReader
    private let rounding: ColumnRounding
    private var graphs: [Shape: FusedGraph] = [:]
    private var allocators: [Shape: GraphAllocator] = [:]

    /// Whether steps are filled up with columns that nobody reads.
    enum ColumnRounding {
        /// They are not.
        case none
        /// So that a sequence's result does not depend on the others: ggml rounds the product of a matrix with one
        /// vector differently from that with several, and in its repacked layouts that with four at a time.
        case independent
    }

    /// - Throws: ``CacheError`` when the kernel that was asked for cannot run on this machine.
    init(_ model: Model, on backend: Backend, rounding: ColumnRounding = .none) throws {
        self.model = model
        self.rounding = rounding
        self.backend = backend
        memory = try KernelMemory(threads: backend.threads)
        reader = EmbeddingReader(model)
    }

    /// Bytes of intermediate results held.
    var allocatedBytes: Int { allocators.values.reduce(memory.bytes) { $0 + $1.allocatedBytes } }

    /// Feeds tokens, one after the other within a sequence; all caches are fused and have room.
    ///
    /// - Parameter collect: receives the index of each feed, and a way to read the logits after its last token.
    /// - Throws: `GgmlError` when memory is short or the device fails; the sequences are then as before.
    func step(_ feeds: [Feed], collect: (Int, FusedGraph) -> Void) throws {
        let shape = Shape(
            columns: columns(feeds.reduce(0) { $0 + $1.tokens.count }), outputs: columns(feeds.count))
        let graph = try graph(shape)
        try graph.run(feeds, reader, memory: memory)
        for (index, feed) in feeds.enumerated() {
            feed.cache.advance(by: feed.tokens.count)
            collect(index, graph)
        }
    }

    /// The columns of a step of so many tokens.
    func columns(_ count: Int) -> Int {
        switch rounding {
        case .none: count
        case .independent: model.weights.value.isPacked ? (count + 3) / 4 * 4 : max(count, 2)
        }
    }

    private func graph(_ shape: Shape) throws -> FusedGraph {
        if let graph = graphs[shape] { return graph }
        let allocator = try GraphAllocator(on: backend)
        let graph = try FusedGraph(
            model, columns: shape.columns, outputs: shape.outputs, on: backend, allocator: allocator)
        graphs[shape] = graph
        allocators[shape] = allocator
        return graph
    }
}
