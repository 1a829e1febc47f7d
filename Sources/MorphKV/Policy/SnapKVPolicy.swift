/// SnapKV: cuts the prompt once, by what its last queries attend to, smoothed along positions; then grows.
///
/// Source: Li et al., "SnapKV: LLM Knows What You are Looking for Before Generation", NeurIPS 2024, arXiv 2404.14469; per KV
/// head instead of per query head.
public struct SnapKVPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "snapkv", summary: "cuts the prompt once by what its last queries attend to, then grows",
        source: "SnapKV, NeurIPS 2024, arXiv 2404.14469", parameters: parameters)

    static let parameters: [PolicyDescriptor.Parameter] = [
        .capacity(named: "promptCapacity", "entries of the prompt per KV head"),
        .integer("window", in: 1...Int.max, default: 32, "last prompt tokens that stay and whose queries vote"),
        .integer("kernel", in: 1...Int.max, default: 5, "width of the pooling, an odd number"),
        .choice("pooling", default: PromptRule.Pooling.avg, "how scores are smoothed along positions"),
    ]

    /// Entries of the prompt that a KV head keeps.
    public var promptCapacity: Int
    /// The prompt's last tokens, which stay and by whose queries the others are chosen.
    public var window: Int
    /// How many neighbouring positions are pooled, an odd number; `kernel` in text.
    public var poolingWidth: Int
    /// How scores are smoothed along positions.
    public var pooling: PromptRule.Pooling

    /// Creates the policy.
    public init(promptCapacity: Int, window: Int = 32, poolingWidth: Int = 5, pooling: PromptRule.Pooling = .avg) {
        self.promptCapacity = promptCapacity
        self.window = window
        self.poolingWidth = poolingWidth
        self.pooling = pooling
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            promptCapacity: arguments.integer("promptCapacity"), window: arguments.integer("window"),
            poolingWidth: arguments.integer("kernel"), pooling: arguments.choice("pooling"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "promptCapacity": promptCapacity, "window": window, "kernel": poolingWidth, "pooling": pooling.rawValue,
        ])
    }

    /// One choice after the prompt.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .once(
            PromptRule(promptCapacity: promptCapacity, window: window, poolingWidth: poolingWidth, pooling: pooling))
    }
}
