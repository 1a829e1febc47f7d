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
            .prompt(), SlotBudgets.parameter(default: .even),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The first positions of the sequence that always stay.
    public var sinks: Int
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// How the slots are spread over layers and heads.
    public var budgets: SlotBudgets

    /// Creates the policy.
    public init(capacity: Int, sinks: Int = 4, prompt: Double = 0, budgets: SlotBudgets = .even) {
        self.capacity = capacity
        self.sinks = sinks
        self.prompt = prompt
        self.budgets = budgets
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), sinks: arguments.integer("sinks"),
            prompt: arguments.number("prompt"), budgets: SlotBudgets(arguments.choice("budgets")))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments(["capacity": capacity, "sinks": sinks, "prompt": prompt, "budgets": budgets.spread.rawValue])
    }

    /// The same with the model's calibration, if ``budgets`` need it.
    public func prepared(for model: Model) throws -> Self {
        var prepared = self
        prepared.budgets = try budgets.prepared(for: model)
        return prepared
    }

    /// What ``budgets`` are solved from.
    public var calibration: Calibration? { budgets.calibration }

    /// The rule of the layer's first head.
    public func rule(for layer: LayerGeometry) throws -> RetentionRule { try rules(for: layer)[0] }

    /// Depends on positions only; where the prompt has a share, on how much of it each head holds too.
    public func rules(for layer: LayerGeometry) throws -> [RetentionRule] {
        try budgets.rules(mean: capacity, keeping: sinks, in: layer) {
            guard prompt > 0 else { return .recent(slots: $0, sinks: sinks) }
            return .scored(
                ScoringRule(capacity: $0, window: 0, sinks: sinks, accumulation: .recency).keeping(prompt: prompt))
        }
    }
}
