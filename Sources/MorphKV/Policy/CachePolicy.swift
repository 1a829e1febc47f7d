/// What a KV cache keeps when it is full.
///
/// A policy is a value that states a rule; it holds no tensors and runs no code per token. The rule is composed
/// of parts that every device executes inside its compute graph (see ``RetentionRule``).
///
/// To add a policy, write one conforming type and hand it to ``PolicyRegistry``.
public protocol CachePolicy: Sendable, Hashable, Codable {
    /// Its name, what it does, where it comes from, and its parameters.
    static var descriptor: PolicyDescriptor { get }
    /// The values of its parameters.
    var arguments: PolicyArguments { get }
    /// Creates the policy from arguments that fit the descriptor.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when they contradict each other.
    init(_ arguments: PolicyArguments) throws
    /// The rule for one layer.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the policy makes no sense for it.
    func rule(for layer: LayerGeometry) throws -> RetentionRule
    /// The rules of one layer's KV heads, which may differ in their capacity; by default ``rule(for:)`` for all of them.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the policy makes no sense for it.
    func rules(for layer: LayerGeometry) throws -> [RetentionRule]
    /// The policy with what it needs to know about a model, before it is asked for rules; by default the same.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` when something is missing.
    func prepared(for model: Model) throws -> Self
    /// What the policy, prepared for a model, took of its calibration: its choices depend on it as long as a sequence lasts.
    /// Nil, as it is by default, if it needs none.
    var calibration: Calibration? { get }
    /// Tokens of the longest text that the policy, prepared for a model, knows the model from: in longer sequences its
    /// choices are a guess. Nil, as it is by default, if it knows nothing about models.
    var calibratedLength: Int? { get }
    /// What is done once with the first prompt after all layers have seen it; nil, as it is by default, if nothing is.
    ///
    /// The rules of such a policy keep everything.
    var compression: Compression? { get }
    /// The prompt's first tokens that ``compression`` leaves alone; 0 by default.
    var protectedTokens: Int { get }
}

extension CachePolicy {
    /// The same for all.
    public func rules(for layer: LayerGeometry) throws -> [RetentionRule] {
        Array(repeating: try rule(for: layer), count: layer.kvHeads)
    }
    /// The same.
    public func prepared(for model: Model) throws -> Self { self }
    /// None is needed.
    public var calibration: Calibration? { nil }
    /// Nothing is known about models.
    public var calibratedLength: Int? { nil }
    /// Nothing is compressed.
    public var compression: Compression? { nil }
    /// None.
    public var protectedTokens: Int { 0 }
}

extension CachePolicy {
    /// The policy as text, `name:key=value,...` without what is at its default; ``PolicyRegistry/policy(_:)-(String)``
    /// reads it back.
    public var specification: String { PolicySpecification(self).description }

    /// The value of the descriptor's ``PolicyDescriptor/capacity``, if it has one that is a whole number.
    public var declaredCapacity: Int? {
        guard let name = Self.descriptor.capacity?.name else { return nil }
        return arguments.values.first { $0.name == name }.flatMap { Int($0.value) }
    }
}

/// Coded as the values of its parameters by name.
extension CachePolicy {
    /// Reads the values of its parameters; those that are missing have their defaults.
    ///
    /// - Throws: ``CacheError`` naming the parameter concerned, or what the decoder throws.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.singleValueContainer().decode([String: String].self)
        try self.init(PolicyArguments(values, for: Self.descriptor))
    }

    /// Writes the values of its parameters.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Dictionary(uniqueKeysWithValues: arguments.values.map { ($0.name, $0.value) }))
    }
}
