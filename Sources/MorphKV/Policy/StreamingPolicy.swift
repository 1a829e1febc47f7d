/// StreamingLLM: keeps the first and the most recent tokens.
///
/// Source: Xiao et al., "Efficient Streaming Language Models with Attention Sinks", ICLR 2024, arXiv 2309.17453. Unlike
/// the authors' code, positions are never renumbered.
public struct StreamingPolicy: BudgetedPolicy {
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

    /// The sinks.
    public var alwaysKept: [Int] { [sinks] }

    /// Depends on positions only; where the prompt has a share, on how much of it each head holds too.
    public func rule(capacity: Int) -> RetentionRule {
        guard prompt > 0 else { return .recent(slots: capacity, sinks: sinks) }
        return .scored(
            ScoringRule(capacity: capacity, window: 0, sinks: sinks, accumulation: .recency).keeping(prompt: prompt))
    }
}
