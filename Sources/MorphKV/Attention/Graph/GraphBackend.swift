internal import Ggml

/// Attention by ggml's own operations, on any device: a graph for every sequence, which are fed one after the other.
final class GraphBackend: AttentionBackend {
    /// A graph is bound to the memory of the layers that it was described for.
    private struct Entry {
        weak var cache: KVCache?
        let layers: [LayerCache]
        let graph: StepGraph
        let allocator: GraphAllocator

        func serves(_ cache: KVCache) -> Bool {
            self.cache === cache && zip(layers, cache.parts).allSatisfy { $0 === $1[0] }
        }
    }

    private let model: Model
    private let device: Backend
    private var entries: [Entry] = []

    init(_ model: Model, on device: Backend) {
        self.model = model
        self.device = device
    }

    var allocatedBytes: Int { entries.reduce(0) { $0 + $1.allocator.allocatedBytes } }

    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        for (index, feed) in feeds.enumerated() {
            let graph = try graph(feed.cache)
            for token in feed.tokens {
                try graph.run([Feed(cache: feed.cache, tokens: [token])])
                feed.cache.admit(1)
            }
            collect(index, graph.output(0))
        }
    }

    private func graph(_ cache: KVCache) throws -> StepGraph {
        if let entry = entries.first(where: { $0.serves(cache) }) { return entry.graph }
        // Graphs of caches that are gone, or that grew, give their memory back first.
        entries.removeAll { $0.cache == nil || $0.cache === cache }
        let allocator = try GraphAllocator(on: device)
        // Reductions over the queries of a window take a few operations per halving, besides those of the block.
        let graph = try StepGraph(
            model, columns: 1, outputs: 1, attention: GraphAttention(model.description, cache.layers), operations: 384,
            on: device, allocator: allocator)
        entries.append(Entry(cache: cache, layers: cache.layers, graph: graph, allocator: allocator))
        return graph
    }
}
