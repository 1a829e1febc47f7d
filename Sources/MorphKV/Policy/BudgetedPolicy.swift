/// A policy of constant size whose slots may be spread over layers and KV heads; see ``SlotBudgets``.
///
/// It states one rule for any capacity; which capacity a head has is the budgets' affair.
public protocol BudgetedPolicy: CachePolicy {
    /// Entries a KV head may hold, the current token included; the mean over all heads of all layers.
    var capacity: Int { get }
    /// How the slots are spread over layers and heads.
    var budgets: SlotBudgets { get set }
    /// Numbers of entries that always stay, such as the window and the sinks.
    var alwaysKept: [Int] { get }
    /// The rule of a KV head that may hold that many entries.
    ///
    /// - Throws: ``CacheError`` when the policy makes no sense, or was not prepared for a model.
    func rule(capacity: Int) throws -> RetentionRule
}

extension BudgetedPolicy {
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

    /// The rules of a layer's heads, each with its share of the slots.
    public func rules(for layer: LayerGeometry) throws -> [RetentionRule] {
        try budgets.rules(mean: capacity, keeping: alwaysKept, in: layer, rule(capacity:))
    }
}
