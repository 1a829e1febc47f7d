internal import MorphKV

/// Reads the policy and capacity that a request wants.
struct PolicyChoice {
    let registry: PolicyRegistry
    /// The server's own cache, from which missing values are taken.
    let standard: CacheOptions

    /// The cache of a request; nil if it names nothing of its own.
    ///
    /// - Throws: ``CacheError`` naming what is wrong.
    func cache(_ wanted: GenerationFields.Extension?) throws -> CacheOptions? {
        guard let wanted, wanted.policy != nil || wanted.capacity != nil else { return nil }
        var cache = standard
        cache.policy = try policy(wanted)
        return cache
    }

    private func policy(_ wanted: GenerationFields.Extension) throws -> any CachePolicy {
        guard let text = wanted.policy else {
            let policy = standard.policy
            var arguments = Dictionary(uniqueKeysWithValues: policy.arguments.values.map { ($0.name, $0.value) })
            arguments["capacity"] = wanted.capacity.map(String.init)
            return try registry.policy(type(of: policy).descriptor.name, arguments)
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let given = parts.count > 1 ? parts[1] : ""
        let takesCapacity = registry.descriptors.first { $0.name == parts[0] }?.parameters
            .contains { $0.name == "capacity" }
        let isGiven = given.split(separator: ",").contains { $0.hasPrefix("capacity=") }
        // A capacity beside one in the text is refused by the registry.
        guard let capacity = wanted.capacity ?? (isGiven || takesCapacity != true ? nil : standardCapacity) else {
            return try registry.policy(text)
        }
        return try registry.policy("\(parts[0]):\(given.isEmpty ? "" : given + ",")capacity=\(capacity)")
    }

    private var standardCapacity: Int? {
        standard.policy.arguments.values.first { $0.name == "capacity" }.flatMap { Int($0.value) }
    }
}
