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
            .prompt(),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The first positions of the sequence that always stay.
    public var sinks: Int
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// Creates the policy.
    public init(capacity: Int, sinks: Int = 4, prompt: Double = 0) {
        self.capacity = capacity
        self.sinks = sinks
        self.prompt = prompt
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), sinks: arguments.integer("sinks"),
            prompt: arguments.number("prompt"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments(["capacity": capacity, "sinks": sinks, "prompt": prompt])
    }

    /// Depends on positions only; where the prompt has a share, on how much of it each head holds too.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        guard prompt > 0 else { return .recent(slots: capacity, sinks: sinks) }
        return .scored(
            ScoringRule(capacity: capacity, window: 0, sinks: sinks, accumulation: .recency).keeping(prompt: prompt))
    }
}
