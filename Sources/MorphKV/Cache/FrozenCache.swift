/// What all layers hold of a text that was read once: immutable, so that any number of sequences can go on from it.
struct FrozenCache: Sendable {
    /// One per layer of the model.
    var layers: [FrozenLayer]
    /// Tokens of the text: the position that follows it.
    var tokens: Int
    /// Heads that see only the first and the most recent positions; nil if none do.
    var streaming: StreamingHeads?
    /// What the blocks without attention remember of the text; nil for models that have none.
    var recurrent: RecurrentCopy?

    /// Bytes announced for all layers and what blocks without attention remember.
    var plannedBytes: Int { layers.reduce(recurrentBytes) { $0 + $1.plannedBytes } }
    /// Bytes really held.
    var allocatedBytes: Int { layers.reduce(recurrentBytes) { $0 + $1.allocatedBytes } }
    /// Bytes of what blocks without attention remember.
    var recurrentBytes: Int { recurrent?.bytes ?? 0 }
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
