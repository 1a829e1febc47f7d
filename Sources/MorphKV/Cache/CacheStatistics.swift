/// What a cache holds and what it costs, exactly.
public struct CacheStatistics: Sendable, Hashable {
    /// One layer.
    public struct Layer: Sendable, Hashable {
        /// The rule that really applies, the layer's sliding window taken into account.
        public let rule: RetentionRule
        /// Slots per KV head.
        public let slots: Int
        /// Filled slots per KV head.
        public let used: Int
        /// Entries of each KV head besides the slots, which stay for good: what was kept of a compressed prompt or of
        /// the context that the sequence goes on from. Empty if there are none.
        public let frozen: [Int]
        /// Tokens that were seen but are no longer held, in the KV head with most of them.
        public let evicted: Int
        /// Bytes announced before allocation: keys, values, positions, scores and rings. A context that the sequence
        /// goes on from is not part of it: others share it, and it states its own bytes.
        public let plannedBytes: Int
        /// Bytes that the device really gave.
        public let allocatedBytes: Int

        init(
            rule: RetentionRule, slots: Int, used: Int, frozen: [Int], seen: Int, plannedBytes: Int, allocatedBytes: Int
        ) {
            self.rule = rule
            self.slots = slots
            self.used = used
            self.frozen = frozen
            evicted = seen - used - (frozen.min() ?? 0)
            self.plannedBytes = plannedBytes
            self.allocatedBytes = allocatedBytes
        }
    }

    /// The policy, as text.
    public let policy: String
    /// Tokens of the sequence so far.
    public let tokensSeen: Int
    /// All layers, from the input.
    public let layers: [Layer]

    /// Bytes announced for all layers.
    public var plannedBytes: Int { layers.reduce(0) { $0 + $1.plannedBytes } }
    /// Bytes allocated for all layers.
    public var allocatedBytes: Int { layers.reduce(0) { $0 + $1.allocatedBytes } }
    /// The most slots that a KV head of any layer has.
    public var slots: Int { layers.map(\.slots).max() ?? 0 }
    /// The most entries that a KV head of any layer holds.
    public var used: Int { layers.map { $0.used + ($0.frozen.max() ?? 0) }.max() ?? 0 }
    /// The most tokens that a KV head of any layer no longer holds.
    public var evicted: Int { layers.map(\.evicted).max() ?? 0 }
}
