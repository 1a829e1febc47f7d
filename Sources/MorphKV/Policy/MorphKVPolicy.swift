/// MorphKV: keeps the recent window and those older tokens to which the recent queries attend most, chosen anew at
/// every generated token, per layer and KV head.
///
/// Source: Ghadia et al., "Dialogue Without Limits: Constant-Sized KV Caches for Extended Responses in LLMs", ICML 2025,
/// arXiv 2503.00979. The rule is aligned under grouped-query attention, as the paper means it. The presets repeat the
/// two variants of the authors' code (github ghadiaravi13/MorphKV, commit 8903d2a); the second is also what their commit
/// 1dc7d30 has for Qwen 2, where the newest of the window's queries is the current one and does not vote.
public struct MorphKVPolicy: BudgetedPolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "morphkv", summary: "keeps the recent window and what its queries attend to most",
        source: "MorphKV, ICML 2025, arXiv 2503.00979",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .integer("window", in: 1...Int.max, default: 32, "recent tokens that stay and whose queries vote"),
            .choice("fusion", default: ScoringRule.Fusion.sum, "how the votes of the queries are combined"),
            .choice("normalization", default: ScoringRule.Normalization.full, "over what a vote is normalised"),
            .choice("group", default: ScoringRule.GroupReduction.sum, "how the query heads of a KV head are combined"),
            .integer("sinks", in: 0...Int.max, default: 0, "first positions that stay"),
            .integer(
                "rows", in: -1_000_000...Int.max, default: 0, "queries that vote; 0 and less counts from the window"),
            .number("evictAfter", in: 1...64, default: 1, "evict only at this many times the capacity"),
            .number("decay", in: 0...1, default: 0, "if not 0, score = decay * score + weights, without any window"),
            .prompt(), SlotBudgets.parameter(default: .even),
        ],
        presets: [
            "reference-llama": ["normalization": "candidates", "group": "sum", "fusion": "max"],
            "reference": ["normalization": "candidates", "group": "max", "fusion": "max", "rows": "-1"],
        ])

    /// Entries a KV head may hold, the current token included (the authors' `max_capacity` + 1).
    public var capacity: Int
    /// The recent tokens that always stay, and by whose queries the others are chosen.
    public var window: Int
    /// How the attention scores of the queries are combined.
    public var fusion: ScoringRule.Fusion
    /// Over which entries a query's attention scores are normalised.
    public var normalization: ScoringRule.Normalization
    /// How the query heads of a group become one weight.
    public var groupReduction: ScoringRule.GroupReduction
    /// The first positions of the sequence that always stay.
    public var sinks: Int
    /// By how many queries entries are chosen; 0 and less counts from the window: -1 is one less than it.
    public var rows: Int
    /// Evicts only when there would be this many times `capacity` entries.
    public var evictAfter: Double
    /// If not 0, every query counts, this much less with every further one (our own variant; no window is stored).
    public var decay: Double
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// How the slots are spread over layers and heads.
    public var budgets: SlotBudgets

    /// Creates the policy.
    public init(
        capacity: Int, window: Int = 32, fusion: ScoringRule.Fusion = .sum,
        normalization: ScoringRule.Normalization = .full, groupReduction: ScoringRule.GroupReduction = .sum,
        sinks: Int = 0, rows: Int = 0, evictAfter: Double = 1, decay: Double = 0,
        prompt: Double = 0, budgets: SlotBudgets = .even
    ) {
        self.capacity = capacity
        self.window = window
        self.fusion = fusion
        self.normalization = normalization
        self.groupReduction = groupReduction
        self.sinks = sinks
        self.rows = rows
        self.evictAfter = evictAfter
        self.decay = decay
        self.prompt = prompt
        self.budgets = budgets
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            fusion: arguments.choice("fusion"), normalization: arguments.choice("normalization"),
            groupReduction: arguments.choice("group"), sinks: arguments.integer("sinks"),
            rows: arguments.integer("rows"), evictAfter: arguments.number("evictAfter"),
            decay: arguments.number("decay"), prompt: arguments.number("prompt"),
            budgets: SlotBudgets(arguments.choice("budgets")))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "capacity": capacity, "window": window, "fusion": fusion.rawValue,
            "normalization": normalization.rawValue, "group": groupReduction.rawValue, "sinks": sinks, "rows": rows,
            "evictAfter": evictAfter, "decay": decay, "prompt": prompt, "budgets": budgets.spread.rawValue,
        ])
    }

    /// The window and the sinks.
    public var alwaysKept: [Int] { [window, sinks] }

    /// The window's attention scores, or the decaying sum of all.
    public func rule(capacity: Int) throws -> RetentionRule {
        .scored(
            ScoringRule(
                capacity: capacity, window: window, sinks: sinks, accumulation: try accumulation,
                groupReduction: groupReduction, evictAfter: evictAfter
            ).keeping(prompt: prompt))
    }

    private var accumulation: ScoringRule.Accumulation {
        get throws {
            let queries = rows > 0 ? rows : window + rows
            guard decay > 0 else {
                return fusion == .sum && normalization == .full
                    ? .windowSum(queries: queries)
                    : .profile(queries: queries, fusion: fusion, normalization: normalization)
            }
            guard fusion == .sum, normalization == .full, rows == 0 else {
                throw CacheError(
                    .invalidPolicy,
                    "a decaying score is a sum of full weights over all queries: it goes with neither fusion=max, "
                        + "normalization=candidates nor rows")
            }
            return .cumulative(decay: Float(decay))
        }
    }
}
