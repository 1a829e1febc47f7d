internal import Ggml

/// Attention by ggml's own operations, on any device: one graph for sequences whose caches have equal shapes.
final class GraphBackend: AttentionBackend {
    /// The graph of a sequence that is fed by itself, which lives as long as its cache.
    private final class Binding: CacheAttachment {
        private let parts: [LayerCache]
        private let frozen: [FrozenLayer?]
        private let moves: [Int]
        private weak var backend: GraphBackend?
        let graph: StepGraph
        private let allocator: GraphAllocator

        init(_ cache: KVCache, _ backend: GraphBackend) throws {
            self.backend = backend
            parts = cache.parts.flatMap(\.self)
            let frozen = cache.layers.map(\.frozen)
            self.frozen = frozen
            moves = parts.map(\.arena.moves)
            let layers = try cache.parts.indices.map {
                GraphLayer(parts: cache.parts[$0], frozen: try frozen[$0]?.buckets(on: backend.device.at($0)))
            }
            (graph, allocator) = try backend.describe(
                layers, GraphRecurrence(cache.recurrent), frozenLimit: cache.frozenLimit)
        }

        var allocatedBytes: Int { allocator.allocatedBytes }
        var operationCount: Int { graph.operationCount }

        func serves(_ cache: KVCache, by backend: GraphBackend) -> Bool {
            let own = cache.parts.lazy.flatMap(\.self)
            return self.backend === backend && zip(parts, own).allSatisfy { $0 === $1 }
                && zip(moves, own).allSatisfy { $0 == $1.arena.moves }
                && zip(frozen, cache.parts).allSatisfy { $0 === $1[0].frozen }
        }
    }

    /// Sequences with one memory, and the graphs of their first ones.
    private final class Group {
        let stack: CacheStack
        var graphs: [Int: (graph: StepGraph, allocator: GraphAllocator)] = [:]
        init(_ stack: CacheStack) { self.stack = stack }
    }

    private let model: Model
    private let device: Backend
    private let columns: (Int) -> Int
    private var groups: [Group] = []

    /// - Parameter columns: the columns of a step of so many tokens.
    init(_ model: Model, on device: Backend, columns: @escaping (Int) -> Int) {
        self.model = model
        self.device = device
        self.columns = columns
    }

    /// What a graph of a single sequence needs belongs to its cache.
    var allocatedBytes: Int {
        groups.reduce(0) { sum, group in
            group.graphs.values.reduce(sum + group.stack.freeBytes) { $0 + $1.allocator.allocatedBytes }
        }
    }

    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        // What nobody is in any more holds memory, of contexts too.
        groups.removeAll { $0.stack.occupants.allSatisfy { $0 == nil } }
        var kinds: [CacheStack.Kind: [Int]] = [:]
        for (index, feed) in feeds.enumerated() {
            if feeds.count > 1, feed.tokens.count == 1, let kind = try kind(of: feed, among: feeds) {
                kinds[kind, default: []].append(index)
            } else {
                try stepAlone(feed, index, collect)
            }
        }
        for (kind, indices) in kinds.sorted(by: { $0.value[0] < $1.value[0] }) {
            if indices.count == 1 {
                try stepAlone(feeds[indices[0]], indices[0], collect)
            } else {
                try stepTogether(indices.map { feeds[$0] }, kind) { collect(indices[$0], $1) }
            }
        }
    }

    /// Layers that grow get as many slots as those of the longest sequence of the same policy.
    private func kind(of feed: Feed, among feeds: [Feed]) throws -> CacheStack.Kind? {
        let plans = feed.cache.layers.map(\.plan)
        if plans.contains(where: { $0.slots == nil }) {
            for other in feeds where other.cache !== feed.cache && other.cache.layers.map(\.plan) == plans {
                try feed.cache.widen(like: other.cache)
            }
        }
        return CacheStack.Kind(feed.cache)
    }

    private func stepAlone(_ feed: Feed, _ index: Int, _ collect: (Int, StepOutput) -> Void) throws {
        let graph = try graph(feed.cache)
        for token in feed.tokens {
            try graph.run([Feed(cache: feed.cache, tokens: [token])])
            feed.cache.admit(1)
        }
        collect(index, graph.output(0))
    }

    private func stepTogether(
        _ feeds: [Feed], _ kind: CacheStack.Kind, _ collect: (Int, StepOutput) -> Void
    ) throws {
        let group = try group(of: feeds.map(\.cache), kind)
        let order = group.stack.gather(feeds.map(\.cache))
        let graph = try graph(of: order.count, in: group)
        try graph.run(order.map { feeds[$0] }[...])
        for (place, index) in order.enumerated() {
            feeds[index].cache.admit(1)
            collect(index, graph.output(place))
        }
    }

    private func graph(of sequences: Int, in group: Group) throws -> StepGraph {
        if let made = group.graphs[sequences] { return made.graph }
        let (layers, cache) = (try group.stack.layers(sequences), group.stack.occupants[0]!)
        let joint = try layers.indices.map {
            GraphLayer(parts: [layers[$0]], frozen: try cache.layers[$0].frozen?.buckets(on: device.at($0)))
        }
        let made = try describe(joint, GraphRecurrence(nil), frozenLimit: cache.frozenLimit)
        group.graphs[sequences] = made
        return made.graph
    }

    /// Where sequences of a kind are or can be put together.
    ///
    /// Memory for sequences that are together is never more than that of all sequences: before more is taken, places that
    /// nobody has are given up.
    private func group(of caches: [KVCache], _ kind: CacheStack.Kind) throws -> Group {
        for group in groups where group.stack.isTorn { try dissolve(group) }
        if let group = groups.first(where: { $0.stack.kind == kind && $0.stack.count >= caches.count }) {
            let others = groups.filter { $0 !== group && caches.contains(where: $0.stack.holds) }
            for other in others { try dissolve(other) }
            return group
        }
        for group in groups where group.stack.kind == kind || group.stack.occupants.contains(where: { $0 == nil }) {
            try dissolve(group)
        }
        let stack = try CacheStack(
            kind, like: caches[0], places: caches.count, scale: model.description.attentionScale, on: device)
        let group = Group(stack)
        groups.append(group)
        return group
    }

    private func dissolve(_ group: Group) throws {
        try group.stack.dissolve(on: device)
        groups.removeAll { $0 === group }
    }

    private func graph(_ cache: KVCache) throws -> StepGraph {
        if let binding = cache.attachment as? Binding, binding.serves(cache, by: self) { return binding.graph }
        // The graph of layers that grew or moved gives its memory back first.
        cache.attachment = nil
        let binding = try Binding(cache, self)
        cache.attachment = binding
        return binding.graph
    }

    private func describe(
        _ layers: [GraphLayer], _ recurrence: GraphRecurrence, frozenLimit: Int?
    ) throws -> (graph: StepGraph, allocator: GraphAllocator) {
        let allocator = try GraphAllocator(on: device)
        let attention = GraphAttention(model.description, layers, recurrence: recurrence)
        let columns = recurrence.isStateful ? 1 : columns(layers[0].parts[0].shape.sequences)
        // Reductions over the queries of a window take a few operations per halving, besides those of the block.
        let graph = try StepGraph(
            model, columns: columns, outputs: columns, frozenLimit: frozenLimit, attention: attention,
            operations: layers.map(\.operations).max()!, on: device, allocator: allocator)
        return (graph, allocator)
    }
}
