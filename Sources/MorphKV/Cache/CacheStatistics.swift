/// What a cache holds and what it costs, exactly.
public struct CacheStatistics: Sendable, Hashable {
    /// One layer.
    public struct Layer: Sendable, Hashable {
        /// The rule that really applies, the layer's sliding window taken into account.
        public let rule: RetentionRule
        /// Slots of each KV head.
        public let headSlots: [Int]
        /// Filled slots, in the KV head with most of them.
        public let used: Int
        /// Entries of each KV head besides the slots, which stay for good: what was kept of a compressed prompt or of
        /// the context that the sequence goes on from. Empty if there are none.
        public let frozen: [Int]
        /// Tokens that were seen but are no longer held, in the KV head with most of them. Those of a context that the
        /// sequence goes on from do not count.
        public let evicted: Int
        /// Entries in the slots and besides them, in the KV head with most of them.
        let held: Int
        /// The most slots that a KV head has.
        public var slots: Int { headSlots.max() ?? 0 }
        /// Bytes announced before allocation: keys, values, positions, scores and rings. A context that the sequence
        /// goes on from is not part of it: others share it, and it states its own bytes.
        public let plannedBytes: Int
        /// Bytes that the device really gave.
        public let allocatedBytes: Int

        init(
            rule: RetentionRule, headSlots: [Int], used: Int, frozen: [Int], held: Int, evicted: Int, plannedBytes: Int,
            allocatedBytes: Int
        ) {
            self.rule = rule
            self.headSlots = headSlots
            self.used = used
            self.frozen = frozen
            self.held = held
            self.evicted = evicted
            self.plannedBytes = plannedBytes
            self.allocatedBytes = allocatedBytes
        }
    }

    /// The policy, as text.
    public let policy: String
    /// Tokens of the sequence so far.
    public let tokensSeen: Int
    /// Those of them that are pinned, and so never evicted.
    public let pinned: Int
    /// All layers with attention, from the input.
    public let layers: [Layer]
    /// Bytes announced for what blocks without attention remember, however long the sequence is.
    public let plannedRecurrentBytes: Int
    /// Bytes that the device really gave for that.
    public let recurrentBytes: Int

    /// Bytes announced for the whole sequence: all layers, and what blocks without attention remember.
    public var plannedBytes: Int { layers.reduce(plannedRecurrentBytes) { $0 + $1.plannedBytes } }
    /// Bytes allocated for the whole sequence.
    public var allocatedBytes: Int { layers.reduce(recurrentBytes) { $0 + $1.allocatedBytes } }
    /// The most slots that a KV head of any layer has.
    public var slots: Int { layers.map(\.slots).max() ?? 0 }
    /// The fewest slots that a KV head of any layer has.
    public var fewestSlots: Int { layers.flatMap(\.headSlots).min() ?? 0 }
    /// The most entries that a KV head of any layer holds.
    public var used: Int { layers.map(\.held).max() ?? 0 }
    /// The most tokens that a KV head of any layer no longer holds; those of a context that the sequence goes on from
    /// do not count.
    public var evicted: Int { layers.map(\.evicted).max() ?? 0 }
}

/// The figures of ``CacheStatistics`` that are wanted after every token, without the rest.
extension KVCache {
    /// The most entries that a KV head of any layer holds.
    var used: Int { parts.reduce(0) { max($0, held(by: $1)) } }
    /// The most tokens that a KV head of any layer no longer holds, those of a context left out.
    var evicted: Int { parts.reduce(0) { max($0, evicted(by: $1)) } }

    /// Entries of a layer, in the KV head with most of them.
    func held(by layer: [LayerCache]) -> Int { layer.reduce(0) { max($0, $1.used + $1.frozenMost) } }

    /// Tokens that a layer no longer holds, in the KV head with most of them.
    func evicted(by layer: [LayerCache]) -> Int {
        let own = seen - (context?.tokens ?? 0)
        return layer.reduce(0) { most, part in
            // Behind a context the entries besides the slots are the context's.
            let frozen = context == nil ? part.frozen?.layout.counts.min() ?? 0 : 0
            return max(most, own - part.used - frozen)
        }
    }
}
