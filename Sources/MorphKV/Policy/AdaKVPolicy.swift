/// AdaKV: SnapKV's scores with one budget per layer, shared by its KV heads: heads end with different numbers of entries.
///
/// Source: Feng et al., "Ada-KV: Optimizing KV Cache Eviction by Adaptive Budget Allocation for Efficient LLM Inference",
/// arXiv 2407.11550; the rule of its code for grouped-query attention.
public struct AdaKVPolicy: CachePolicy {
    /// How the layers' budgets differ.
    public enum Curve: String, Sendable, Hashable, CaseIterable {
        /// They are the same.
        case uniform
        /// They fall with depth; see ``PyramidKVPolicy``.
        case pyramid
        /// They are in proportion to given numbers.
        case weights
    }

    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "adakv", summary: "snapkv with one budget per layer, shared by its heads according to their scores",
        source: "Ada-KV, arXiv 2407.11550",
        parameters: [
            .capacity(named: "promptCapacity", "entries of the prompt per KV head, on average"),
            .integer("window", in: 1...Int.max, default: 32, "last prompt tokens that stay and whose queries vote"),
            .integer("kernel", in: 1...Int.max, default: 7, "width of the pooling, an odd number"),
            .choice("pooling", default: PromptRule.Pooling.max, "how scores are smoothed along positions"),
            .number("alpha", in: 0...1, default: 0.2, "share of the budget that every head has for certain"),
            .choice("curve", default: Curve.uniform, "how the layers' budgets differ"),
            .integer("beta", in: 1...Int.max, default: 20, "for the pyramid: how much smaller the last budget is"),
            .numbers("weights", "for curve=weights: one number per layer, joined by +"),
        ])

    /// What is chosen by; `promptCapacity` is the mean over heads and layers.
    public var choice: SnapKVPolicy
    /// The share of the budget that every head has for certain.
    public var alpha: Double
    /// How the layers' budgets differ.
    public var curve: LayerCurve

    /// Creates the policy.
    public init(_ choice: SnapKVPolicy, alpha: Double = 0.2, curve: LayerCurve = .uniform) {
        self.choice = choice
        self.alpha = alpha
        self.curve = curve
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        let curve: Curve = arguments.choice("curve")
        self.init(
            SnapKVPolicy(arguments), alpha: arguments.number("alpha"),
            curve: {
                switch curve {
                case .uniform: .uniform
                case .pyramid: .pyramid(beta: arguments.integer("beta"))
                case .weights: .weights(arguments.numbers("weights") ?? [])
                }
            }())
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        var (name, beta, weights) = (Curve.uniform, 20, [Double]())
        switch curve {
        case .uniform: break
        case .pyramid(let value): (name, beta) = (.pyramid, value)
        case .weights(let values): (name, weights) = (.weights, values)
        }
        return choice.arguments.adding("alpha", alpha).adding("curve", name.rawValue).adding("beta", beta)
            .adding("weights", weights.map { "\($0)" }.joined(separator: "+"))
    }

    /// One choice after the prompt.
    public func rule(for layer: LayerGeometry) throws -> RetentionRule {
        try curve.validate(layerCount: layer.layerCount)
        return .once(
            PromptRule(
                promptCapacity: choice.promptCapacity, window: choice.window, poolingWidth: choice.poolingWidth,
                pooling: choice.pooling, curve: curve, alpha: alpha))
    }
}
