internal import Ggml

/// What a session's cache should be like.
public struct CacheOptions: Sendable {
    /// What stays when the cache is full.
    public var policy: any CachePolicy
    /// The type of stored keys.
    public var keyType: CacheType
    /// The type of stored values.
    public var valueType: CacheType
    /// What computes attention while an answer is written.
    public var attention: AttentionPath

    /// What computes attention while an answer is written; the result is the same.
    public enum AttentionPath: String, Sendable, Hashable, CaseIterable {
        /// The fused kernel where memory is the host's, else the graph.
        case automatic
        /// One kernel that chooses a slot, attends and updates the scores; on the CPU only.
        case fused
        /// A graph of ggml's own operations, on any device; keys and values in f32 or f16.
        case graph
    }

    /// How a prompt enters the cache.
    public var prefill: PrefillMode
    /// How far back a token can be from what it sees, counted in positions.
    public var positions: PositionLimit
    /// Whether sequences may pin tokens, which are then never evicted; see ``PromptPins``. Costs bytes under policies that
    /// depend on positions only, whose slots then have scores, and where graphs attend: four per slot and KV head.
    ///
    /// Layers that hold all of their sliding window have no use for pins; others drop them when they are out of its sight.
    /// Policies that cut the first prompt once take none.
    public var pins: Bool

    /// How a prompt enters the cache.
    public enum PrefillMode: Sendable, Hashable {
        /// The whole prompt attends in full, then the policy selects, layer by layer; the memory for one layer's keys and
        /// values grows with the prompt.
        case exact
        /// Parts of about this many tokens attend to the cache and themselves, and the policy selects after each part:
        /// constant memory for any prompt length.
        case chunked(Int)
    }

    /// Creates options.
    ///
    /// - Parameters:
    ///   - policy: what stays when the cache is full.
    ///   - elementType: the type of keys, and of values unless `valueType` says otherwise.
    ///   - valueType: the type of values.
    ///   - attention: what computes attention while an answer is written.
    ///   - prefill: how a prompt enters the cache.
    ///   - positions: how far back a token can be from what it sees.
    ///   - pins: whether sequences may pin tokens.
    public init(
        policy: any CachePolicy, elementType: CacheType = .f16, valueType: CacheType? = nil,
        attention: AttentionPath = .automatic, prefill: PrefillMode = .exact, positions: PositionLimit = .trained,
        pins: Bool = false
    ) {
        self.policy = policy
        keyType = elementType
        self.valueType = valueType ?? elementType
        self.attention = attention
        self.prefill = prefill
        self.positions = positions
        self.pins = pins
    }

    /// The same with another policy.
    public func with(_ policy: any CachePolicy) -> CacheOptions {
        var changed = self
        changed.policy = policy
        return changed
    }

    /// Whether the fused kernel attends to a model's caches, or graphs do.
    func isFused(on placement: DevicePlacement) -> Bool { attention != .graph && placement.usesHostMemory }

    /// Bytes of a token's keys and values in a layer.
    func bytesPerToken(of layer: DecoderDescription.Layer) -> Int {
        layer.kvHeads * (keyType.bytes(layer.headDimension) + valueType.bytes(layer.headDimension))
    }

    /// The same with its policy prepared for a model. Where layers are on several devices, graphs attend on all of them.
    func prepared(for model: Model) throws -> CacheOptions {
        var result = with(try policy.prepared(for: model))
        guard model.placement.isSpread else { return result }
        guard attention != .fused else {
            throw CacheError(.attention, "the fused kernel runs on the CPU, not on several devices")
        }
        result.attention = .graph
        return result
    }

    /// Everything stays.
    public static let full = CacheOptions(policy: FullPolicy())

    /// MorphKV with a constant size; see ``MorphKVPolicy``.
    public static func morphKV(
        capacity: Int, window: Int = 32, groupReduction: ScoringRule.GroupReduction = .sum, sinks: Int = 0
    ) -> CacheOptions {
        CacheOptions(
            policy: MorphKVPolicy(capacity: capacity, window: window, groupReduction: groupReduction, sinks: sinks))
    }
}
