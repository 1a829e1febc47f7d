/// MorphKV: keeps the recent window and those older tokens to which the recent queries attend most, chosen anew at
/// every generated token, per layer and KV head.
///
/// Source: Ghadia et al., "Dialogue Without Limits: Constant-Sized KV Caches for Extended Responses in LLMs", ICML 2025,
/// arXiv 2503.00979. The rule is aligned under grouped-query attention, as the paper means it.
public struct MorphKVPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "morphkv", summary: "keeps the recent window and what its queries attend to most",
        source: "MorphKV, ICML 2025, arXiv 2503.00979",
        parameters: [
            .integer("capacity", in: 1...Int.max, "entries per KV head, the current token included"),
            .integer("window", in: 1...Int.max, default: 32, "recent tokens that stay and whose queries vote"),
            .choice("fusion", default: Fusion.sum, "how the votes of the window's queries are combined"),
            .choice("normalization", default: Normalization.full, "over what a vote is normalised"),
            .choice("group", default: ScoringRule.GroupReduction.sum, "how the query heads of a KV head are combined"),
            .integer("sinks", in: 0...Int.max, default: 0, "first positions that stay"),
        ])

    /// How the votes of the window's queries are combined.
    public enum Fusion: String, Sendable, Hashable, CaseIterable {
        /// The sum over the queries.
        case sum
    }

    /// Over what a vote is normalised.
    public enum Normalization: String, Sendable, Hashable, CaseIterable {
        /// Over everything that the query attended to: the weights it really had.
        case full
    }

    /// Entries a KV head may hold, the current token included (the authors' `max_capacity` + 1).
    public var capacity: Int
    /// The recent tokens that always stay, and the queries that vote.
    public var window: Int
    /// How the query heads of a group become one weight.
    public var groupReduction: ScoringRule.GroupReduction
    /// The first positions of the sequence that always stay.
    public var sinks: Int

    /// Creates the policy.
    public init(capacity: Int, window: Int = 32, groupReduction: ScoringRule.GroupReduction = .sum, sinks: Int = 0) {
        self.capacity = capacity
        self.window = window
        self.groupReduction = groupReduction
        self.sinks = sinks
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            groupReduction: arguments.choice("group"), sinks: arguments.integer("sinks"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "capacity": capacity, "window": window, "fusion": Fusion.sum.rawValue,
            "normalization": Normalization.full.rawValue, "group": groupReduction.rawValue, "sinks": sinks,
        ])
    }

    /// The sum over the window's queries of the weights they gave.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .scored(
            ScoringRule(
                capacity: capacity, window: window, sinks: sinks, accumulation: .windowSum(queries: window),
                groupReduction: groupReduction))
    }
}
