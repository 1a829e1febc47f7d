internal import Ggml

extension CompressedContext {
    /// What a context holds and costs, exactly.
    public struct Statistics: Sendable, Hashable {
        /// Tokens that were read.
        public let tokens: Int
        /// Entries held: `[layer][kvHead]`.
        public let entries: [[Int]]
        /// Bytes of keys, values, positions and offsets, and of what blocks without attention remember, announced before
        /// they were allocated.
        public let plannedBytes: Int
        /// Bytes that were allocated, or are mapped from a file.
        public let allocatedBytes: Int
        /// Bytes of the copy on the model's device that graphs attend to, which is made with the first question; 0 where
        /// the kernel attends to the entries themselves.
        public let deviceBytes: Int
        /// Entries that fill up shorter heads in that copy: heads with nearly as many entries lie together, at equal length.
        public let paddedEntries: Int
        /// Bytes that the same text takes with nothing cut.
        public let wholeBytes: Int
        /// Bytes of all scores that are known.
        public let scoreBytes: Int
        /// Layers whose window hides the beginning of the text hold less than it even when nothing is cut.
        public let slidingLayers: Int
    }

    /// What the context holds and costs.
    public var statistics: Statistics {
        let layers = model.description.layers
        let whole = zip(cache.layers, layers).reduce(cache.recurrentBytes) { total, pair in
            var layout = pair.0.layout
            layout.counts = layout.counts.map { _ in min(tokens.count, pair.1.slidingWindow ?? tokens.count) }
            return total + layout.bytes
        }
        let copied = isFused ? [] : cache.layers.map(\.layout)
        let devices = copied.indices.map(model.placement.device)
        return Statistics(
            tokens: tokens.count, entries: cache.layers.map(\.layout.counts), plannedBytes: cache.plannedBytes,
            allocatedBytes: cache.allocatedBytes,
            deviceBytes: zip(copied, devices).reduce(0) { $0 + ((try? FrozenBuckets.bytes(of: $1.0, on: $1.1)) ?? 0) },
            paddedEntries: copied.reduce(0) { $0 + BucketPlan($1.counts).padding(of: $1.counts) }, wholeBytes: whole,
            scoreBytes: scores.all.reduce(0) { $0 + $1.scores.bytes },
            slidingLayers: layers.count { $0.slidingWindow != nil })
    }

    /// The original positions that each KV head holds, ascending: `[layer][kvHead][entry]`.
    public var keptPositions: [[[Int]]] { cache.layers.map(\.headPositions) }
}
