/// Keeps everything: the cache that other engines have.
public struct FullPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "full", summary: "keeps everything and grows", source: "ordinary attention")

    /// It has no parameters.
    public var arguments: PolicyArguments { PolicyArguments([:]) }

    /// Creates the policy.
    public init() {}

    /// Creates the policy.
    public init(_ arguments: PolicyArguments) {}

    /// Never evicts.
    public func rule(for layer: LayerGeometry) -> RetentionRule { .everything }
}
