/// PyramidKV: SnapKV with budgets that fall with depth.
///
/// Source: Cai et al., "PyramidKV: Dynamic KV Cache Compression based on Pyramidal Information Funneling", arXiv 2406.02069;
/// the integer budgets of KVCache-Factory.
public struct PyramidKVPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "pyramidkv", summary: "snapkv with budgets that fall with depth",
        source: "PyramidKV, arXiv 2406.02069",
        parameters: SnapKVPolicy.parameters + [
            .integer("beta", in: 1...Int.max, default: 20, "how much smaller the last layer's budget is")
        ])

    /// The choice that all layers make, each with its own budget.
    public var choice: SnapKVPolicy
    /// How much smaller the last layer's budget is than the mean.
    public var beta: Int

    /// Creates the policy; `choice.promptCapacity` is the mean over the layers.
    public init(_ choice: SnapKVPolicy, beta: Int = 20) {
        self.choice = choice
        self.beta = beta
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(SnapKVPolicy(arguments), beta: arguments.integer("beta"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments { choice.arguments.adding("beta", beta) }

    /// One choice after the prompt.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .once(
            PromptRule(
                promptCapacity: choice.promptCapacity, window: choice.window, poolingWidth: choice.poolingWidth,
                pooling: choice.pooling, curve: .pyramid(beta: beta)))
    }
}
