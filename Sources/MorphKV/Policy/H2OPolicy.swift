/// H2O: keeps the recent tokens and those that received most attention from all queries so far.
///
/// Source: Zhang et al., "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models", NeurIPS
/// 2023, arXiv 2306.14048; the rule of its `utils_real_drop`, per KV head.
public struct H2OPolicy: BudgetedPolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "h2o", summary: "keeps the recent window and what all queries so far attended to most",
        source: "H2O, NeurIPS 2023, arXiv 2306.14048",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .integer("window", in: 0...Int.max, default: 32, "recent tokens that stay"),
            .choice("group", default: ScoringRule.GroupReduction.sum, "how the query heads of a KV head are combined"),
            .prompt(), SlotBudgets.parameter(default: .even),
        ])

    /// Entries a KV head may hold, the current token included (the authors' `hh_size + recent_size` + 1).
    public var capacity: Int
    /// The recent tokens that always stay (the authors' `recent_size`).
    public var window: Int
    /// How the query heads of a group become one weight.
    public var groupReduction: ScoringRule.GroupReduction
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// How the slots are spread over layers and heads.
    public var budgets: SlotBudgets

    /// Creates the policy.
    public init(
        capacity: Int, window: Int = 32, groupReduction: ScoringRule.GroupReduction = .sum, prompt: Double = 0,
        budgets: SlotBudgets = .even
    ) {
        self.capacity = capacity
        self.window = window
        self.groupReduction = groupReduction
        self.prompt = prompt
        self.budgets = budgets
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            groupReduction: arguments.choice("group"), prompt: arguments.number("prompt"),
            budgets: SlotBudgets(arguments.choice("budgets")))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "capacity": capacity, "window": window, "group": groupReduction.rawValue, "prompt": prompt,
            "budgets": budgets.spread.rawValue,
        ])
    }

    /// The window.
    public var alwaysKept: [Int] { [window] }

    /// The sum of all weights ever received.
    public func rule(capacity: Int) -> RetentionRule {
        .scored(
            ScoringRule(
                capacity: capacity, window: window, accumulation: .cumulative(decay: 1),
                groupReduction: groupReduction
            ).keeping(prompt: prompt))
    }
}
