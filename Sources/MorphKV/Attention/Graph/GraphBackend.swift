internal import Ggml

/// Attention by ggml's own operations, on any device: a graph for every sequence, which are fed one after the other.
final class GraphBackend: AttentionBackend {
    /// A graph that is bound to the memory of a cache's layers, and lives as long as the cache.
    private final class Binding: CacheAttachment {
        let layers: [LayerCache]
        let graph: StepGraph
        private let allocator: GraphAllocator

        init(_ model: Model, _ cache: KVCache, on device: Backend) throws {
            layers = cache.layers
            allocator = try GraphAllocator(on: device)
            // Reductions over the queries of a window take a few operations per halving, besides those of the block.
            graph = try StepGraph(
                model, columns: 1, outputs: 1,
                attention: GraphAttention(model.description, layers, recurrence: GraphRecurrence(cache.recurrent)),
                operations: 384, on: device, allocator: allocator)
        }

        var allocatedBytes: Int { allocator.allocatedBytes }

        func serves(_ cache: KVCache) -> Bool { zip(layers, cache.parts).allSatisfy { $0 === $1[0] } }
    }

    private let model: Model
    private let device: Backend

    init(_ model: Model, on device: Backend) {
        self.model = model
        self.device = device
    }

    /// None: what a graph needs belongs to its cache.
    var allocatedBytes: Int { 0 }

    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        for (index, feed) in feeds.enumerated() {
            let graph = try graph(feed.cache)
            for token in feed.tokens {
                let single = feed.tokens.count == 1 ? feeds[index...index] : [Feed(cache: feed.cache, tokens: [token])]
                try graph.run(single)
                feed.cache.admit(1)
            }
            collect(index, graph.output(0))
        }
    }

    private func graph(_ cache: KVCache) throws -> StepGraph {
        if let binding = cache.attachment as? Binding, binding.serves(cache) { return binding.graph }
        // The graph of layers that grew gives their memory back first.
        cache.attachment = nil
        let binding = try Binding(model, cache, on: device)
        cache.attachment = binding
        return binding.graph
    }
}
