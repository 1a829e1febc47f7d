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
            var specification = PolicySpecification(standard.policy)
            if let capacity = wanted.capacity { try specification.setCapacity(capacity, in: registry) }
            return try registry.policy(specification)
        }
        var specification = try PolicySpecification(parsing: text)
        let usual = specification.lacksCapacity(in: registry) ? standard.policy.declaredCapacity : nil
        if let capacity = wanted.capacity ?? usual { try specification.addCapacity(capacity, in: registry) }
        return try registry.policy(specification)
    }
}
