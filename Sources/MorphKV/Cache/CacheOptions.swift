public import Ggml

/// What a session's cache should be like.
public struct CacheOptions: Sendable {
    /// What stays when the cache is full.
    public var policy: any CachePolicy
    /// The type of stored keys and values: f16 or f32.
    public var elementType: ElementType

    /// Creates options.
    public init(policy: any CachePolicy, elementType: ElementType = .f16) {
        self.policy = policy
        self.elementType = elementType
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
