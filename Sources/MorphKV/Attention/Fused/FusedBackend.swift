internal import Ggml

/// Attention by the fused kernel: one graph for any sequences whose memory is the host's.
final class FusedBackend: AttentionBackend {
    /// What sequences of one step have in common.
    private struct Kind: Hashable {
        /// See ``KVCache/featureSources``.
        let features: [FeatureSource]
        /// See ``KVCache/frozenLimit``.
        let frozenLimit: Int?

        /// - Parameter frozenLimit: for sequences that have none of their own.
        init(_ cache: KVCache, frozenLimit: Int?) {
            features = cache.featureSources
            self.frozenLimit = cache.frozenLimit ?? frozenLimit
        }
    }

    /// What steps that run the same graph have in common.
    private struct Shape: Hashable {
        let columns: Int
        let outputs: Int
        let kind: Kind
    }

    private let model: Model
    private let device: Backend
    private let workspace: AttentionWorkspace
    private let columns: (Int) -> Int
    private var graphs: [Shape: (graph: StepGraph, allocator: GraphAllocator)] = [:]

    /// - Parameter columns: the columns of a step of so many tokens.
    /// - Throws: ``CacheError`` when the kernel that was asked for cannot run on this machine.
    init(_ model: Model, on device: Backend, columns: @escaping (Int) -> Int) throws {
        self.model = model
        self.device = device
        self.columns = columns
        workspace = try AttentionWorkspace(threads: device.threads)
    }

    var allocatedBytes: Int { graphs.values.reduce(workspace.bytes) { $0 + $1.allocator.allocatedBytes } }

    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        if !model.description.queryBlocks.isEmpty, feeds.contains(where: { $0.tokens.count > 1 }) {
            return try stepByToken(feeds, collect: collect)
        }
        let limit = feeds.lazy.compactMap(\.cache.frozenLimit).first
        let kind = Kind(feeds[0].cache, frozenLimit: limit)
        if feeds.allSatisfy({ Kind($0.cache, frozenLimit: limit) == kind }) {
            return try step(feeds, kind, collect: collect)
        }
        // Sequences whose rules want different features of a token, or whose frozen entries see other queries, cannot share
        // a graph.
        let kinds = feeds.map { Kind($0.cache, frozenLimit: limit) }
        for kind in Set(kinds) {
            let indices = feeds.indices.filter { kinds[$0] == kind }
            try step(indices.map { feeds[$0] }, kind) { collect(indices[$0], $1) }
        }
    }

    /// Where blocks attend to what an earlier layer wrote, they have to before it writes for the next token.
    private func stepByToken(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        for token in 0..<(feeds.map(\.tokens.count).max() ?? 0) {
            let indices = feeds.indices.filter { feeds[$0].tokens.count > token }
            try step(indices.map { Feed(cache: feeds[$0].cache, tokens: [feeds[$0].tokens[token]]) }) {
                if feeds[indices[$0]].tokens.count == token + 1 { collect(indices[$0], $1) }
            }
        }
    }

    private func step(_ feeds: [Feed], _ kind: Kind, collect: (Int, StepOutput) -> Void) throws {
        let shape = Shape(
            columns: columns(feeds.reduce(0) { $0 + $1.tokens.count }), outputs: columns(feeds.count), kind: kind)
        let graph = try graph(shape)
        try graph.run(feeds[...])
        for (index, feed) in feeds.enumerated() {
            feed.cache.admit(feed.tokens.count)
            collect(index, graph.output(index))
        }
    }

    private func graph(_ shape: Shape) throws -> StepGraph {
        if let made = graphs[shape] { return made.graph }
        // Parameters and contexts come with requests: graphs for those of others do not pile up.
        let (features, limit) = (shape.kind.features, shape.kind.frozenLimit)
        if !features.isEmpty { graphs = graphs.filter { [[], features].contains($0.key.kind.features) } }
        if limit != nil { graphs = graphs.filter { [nil, limit].contains($0.key.kind.frozenLimit) } }
        let allocator = try GraphAllocator(on: device)
        let attention = FusedAttention(
            model.description, columns: shape.columns, features: features, workspace: workspace)
        let graph = try StepGraph(
            model, columns: shape.columns, outputs: shape.outputs, frozenLimit: shape.kind.frozenLimit,
            attention: attention, operations: 80, on: device, allocator: allocator)
        graphs[shape] = (graph, allocator)
        return graph
    }
}

/// The kernel as an operation of a step's graph.
final class FusedAttention: StepAttention {
    private let description: DecoderDescription
    private let features: [FeatureSource]
    private let metadata: AttentionMetadata
    private let workspace: AttentionWorkspace
    private let recurrent: KernelRecurrence

    /// - Parameter features: see ``KVCache/featureSources``.
    init(
        _ description: DecoderDescription, columns: Int, features: [FeatureSource] = [],
        workspace: AttentionWorkspace
    ) {
        self.description = description
        self.features = features
        self.workspace = workspace
        metadata = AttentionMetadata(description, columns: columns)
        recurrent = KernelRecurrence(description, runs: columns, level: workspace.level)
    }

    var recurrence: any Recurrence { recurrent }

    func attend(_ p: BlockGraph.Projections, layer: Int, in graph: Graph) -> Tensor {
        let isLayer = description.reader(layer) == 0
        let formula = features.isEmpty || !isLayer ? nil : features[layer].formula
        let features = formula?.features(of: p.input, layer: description.geometry(of: layer), in: graph)
        return graph.fusedAttention(
            queries: p.queries, keys: p.keys, values: p.values, frozenQueries: p.frozenQueries, features: features,
            sinks: p.sinks, batch: metadata.batch(layer))
    }

    func prepare(_ feeds: ArraySlice<Feed>) {
        metadata.describe(feeds, in: workspace)
        recurrent.describe(feeds.lazy.map { ($0.cache.recurrent, $0.tokens.count) })
    }
}
