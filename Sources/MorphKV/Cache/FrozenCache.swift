/// What all layers hold of a text that was read once: immutable, so that any number of sequences can go on from it.
struct FrozenCache: Sendable {
    /// One per layer of the model.
    var layers: [FrozenLayer]
    /// Tokens of the text: the position that follows it.
    var tokens: Int
    /// Heads that see only the first and the most recent positions; nil if none do.
    var streaming: StreamingHeads?

    /// Bytes announced for all layers.
    var plannedBytes: Int { layers.reduce(0) { $0 + $1.plannedBytes } }
    /// Bytes really held by all layers.
    var allocatedBytes: Int { layers.reduce(0) { $0 + $1.allocatedBytes } }
    /// Entries of all heads of all layers.
    var entries: Int { layers.reduce(0) { $0 + $1.layout.entries } }
}

/// Heads that see only the first and the most recent positions, and so hold constant memory however long a sequence is.
struct StreamingHeads: Sendable, Hashable, Codable {
    /// The KV heads, ascending, for each layer.
    var heads: [[Int]]
    /// First positions that they see.
    var sinks: Int
    /// Most recent positions that they see, the current one included.
    var recent: Int
}
