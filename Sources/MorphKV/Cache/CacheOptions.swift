public import Ggml

/// What a session's cache should be like.
public struct CacheOptions: Sendable {
    /// What stays when the cache is full.
    public var policy: any CachePolicy
    /// The type of stored keys and values: f16 or f32.
    public var elementType: ElementType

    /// How a prompt enters the cache.
    public var prefill: PrefillMode

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
    public init(policy: any CachePolicy, elementType: ElementType = .f16, prefill: PrefillMode = .exact) {
        self.policy = policy
        self.elementType = elementType
        self.prefill = prefill
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
