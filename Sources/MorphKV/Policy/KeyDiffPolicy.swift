/// KeyDiff: keeps the recent window and the keys that are least like the others.
///
/// Source: Park et al., "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in
/// Resource-Constrained Environments", arXiv 2504.15364: the entry goes whose key has the largest cosine with the mean of
/// the unit-length keys held, chosen anew at every token. A protected window is not part of the paper's rule.
public struct KeyDiffPolicy: BudgetedPolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "keydiff", summary: "keeps the recent window and the keys that are least like the others",
        source: "KeyDiff, arXiv 2504.15364",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .integer("window", in: 0...Int.max, default: 32, "recent tokens that stay"),
            .prompt(), SlotBudgets.parameter(default: .even),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The recent tokens that always stay.
    public var window: Int
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// How the slots are spread over layers and heads.
    public var budgets: SlotBudgets

    /// Creates the policy.
    public init(capacity: Int, window: Int = 32, prompt: Double = 0, budgets: SlotBudgets = .even) {
        self.capacity = capacity
        self.window = window
        self.prompt = prompt
        self.budgets = budgets
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            prompt: arguments.number("prompt"), budgets: SlotBudgets(arguments.choice("budgets")))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "capacity": capacity, "window": window, "prompt": prompt, "budgets": budgets.spread.rawValue,
        ])
    }

    /// The window.
    public var alwaysKept: [Int] { [window] }

    /// How much a key differs from the mean direction of all.
    public func rule(capacity: Int) -> RetentionRule {
        .scored(ScoringRule(capacity: capacity, window: window, accumulation: .keyDiff).keeping(prompt: prompt))
    }
}
