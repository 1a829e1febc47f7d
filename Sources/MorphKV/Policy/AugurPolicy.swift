/// Augur: keeps what is foreseen to be needed, by a score that was learned about the model and is fixed for every age
/// when an entry is written; each layer has its own share of the slots.
///
/// Our own; docs/augur.md. It needs a ``Calibration`` of the model.
public struct AugurPolicy: BudgetedPolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "augur", summary: "keeps what is foreseen to be needed, by a calibration of the model",
        source: "our own, docs/augur.md",
        parameters: [
            .capacity("mean entries per KV head, the current token included"),
            .integer("window", in: 0...Int.max, default: 8, "recent tokens that stay"),
            .number(
                "lambda", in: 0...1000, default: 0.05,
                "how much the weights received since count; with 0 none are needed"),
            .prompt(), SlotBudgets.parameter(default: .layer),
        ])

    /// Entries a KV head may hold, the current token included; the mean over all heads of all layers.
    public var capacity: Int
    /// The recent tokens that always stay.
    public var window: Int
    /// How much the weights that an entry received since count beside what was foreseen; with 0 none are needed.
    public var lambda: Double
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double
    /// How the slots are spread.
    public var budgets: SlotBudgets
    /// What was learned about the model; nil until the policy is prepared for one.
    public private(set) var calibration: Calibration?

    /// Creates the policy.
    public init(
        capacity: Int, window: Int = 8, lambda: Double = 0.05, prompt: Double = 0,
        budgets: SlotBudgets = SlotBudgets(.layer)
    ) {
        self.capacity = capacity
        self.window = window
        self.lambda = lambda
        self.prompt = prompt
        self.budgets = budgets
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            lambda: arguments.number("lambda"), prompt: arguments.number("prompt"),
            budgets: SlotBudgets(arguments.choice("budgets")))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "capacity": capacity, "window": window, "lambda": lambda, "prompt": prompt,
            "budgets": budgets.spread.rawValue,
        ])
    }

    /// The same with the model's calibration.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` if the model has none, or it is damaged or another model's.
    public func prepared(for model: Model) throws -> AugurPolicy {
        var prepared = self
        prepared.calibration = try model.neededCalibration(for: "augur")
        prepared.budgets = try budgets.prepared(for: model)
        return prepared
    }

    /// The longest text of the calibration.
    public var calibratedLength: Int? { calibration?.provenance.longest }

    /// The window.
    public var alwaysKept: [Int] { [window] }

    /// Foresight, and a little of what was received.
    public func rule(capacity: Int) throws -> RetentionRule {
        guard let calibration else { throw CacheError(.calibration, "augur needs a model with a calibration") }
        return .scored(
            ScoringRule(
                capacity: capacity, window: window, accumulation: .foresight(calibration, lambda: Float(lambda))
            ).keeping(prompt: prompt))
    }
}
