/// TOVA: keeps what the last query attended to most; no token is privileged but the current one.
///
/// Source: Oren et al., "Transformers are Multi-State RNNs", EMNLP 2024, arXiv 2401.06104.
public struct TOVAPolicy: CachePolicy {
    /// Which heads choose together.
    public enum Heads: String, Sendable, Hashable, CaseIterable {
        /// Every KV head for itself.
        case group
        /// All heads of a layer, which then keep the same positions, as in the paper.
        case layer
    }

    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "tova", summary: "keeps what the last query attended to most",
        source: "TOVA, EMNLP 2024, arXiv 2401.06104",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .choice("heads", default: Heads.group, "whether each KV head chooses or the layer as a whole"),
            .prompt(),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// Which heads choose together.
    public var heads: Heads
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// Creates the policy.
    public init(capacity: Int, heads: Heads = .group, prompt: Double = 0) {
        self.capacity = capacity
        self.heads = heads
        self.prompt = prompt
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), heads: arguments.choice("heads"),
            prompt: arguments.number("prompt"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments(["capacity": capacity, "heads": heads.rawValue, "prompt": prompt])
    }

    /// The weights of the last query.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .scored(
            ScoringRule(
                capacity: capacity, window: 0, accumulation: .cumulative(decay: 0), sharesChoice: heads == .layer
            ).keeping(prompt: prompt))
    }
}
