/// StreamingLLM: keeps the first and the most recent tokens.
///
/// Source: Xiao et al., "Efficient Streaming Language Models with Attention Sinks", ICLR 2024, arXiv 2309.17453. Unlike
/// the authors' code, positions are never renumbered.
public struct StreamingPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "streaming", summary: "keeps the first and the most recent tokens",
        source: "StreamingLLM, ICLR 2024, arXiv 2309.17453",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .integer("sinks", in: 0...Int.max, default: 4, "first positions that stay"),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The first positions of the sequence that always stay.
    public var sinks: Int

    /// Creates the policy.
    public init(capacity: Int, sinks: Int = 4) {
        self.capacity = capacity
        self.sinks = sinks
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(capacity: arguments.integer("capacity"), sinks: arguments.integer("sinks"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments { PolicyArguments(["capacity": capacity, "sinks": sinks]) }

    /// Depends on positions only.
    public func rule(for layer: LayerGeometry) -> RetentionRule { .recent(slots: capacity, sinks: sinks) }
}
