#if Server
internal import MorphKV

/// Reads the policy and capacity that a request wants.
struct PolicyChoice {
    private let registry: PolicyRegistry
    private let scheduler: Scheduler

    init(_ registry: PolicyRegistry, _ scheduler: Scheduler) {
        self.registry = registry
        self.scheduler = scheduler
    }

    /// The server's own cache, from which missing values are taken.
    private var standard: CacheOptions { scheduler.options.cache }

    /// The cache of a request; nil if it names nothing of its own.
    ///
    /// - Throws: ``CacheError`` naming what is wrong.
    func cache(_ wanted: GenerationFields.Extension?) throws -> CacheOptions? {
        guard let wanted, wanted.policy != nil || wanted.capacity != nil else { return nil }
        return standard.with(try policy(wanted))
    }

    private func policy(_ wanted: GenerationFields.Extension) throws -> any CachePolicy {
        guard let text = wanted.policy else {
            var specification = PolicySpecification(standard.policy)
            if let capacity = wanted.capacity { try specification.setCapacity(capacity, in: registry) }
            return try registry.policy(specification)
        }
        var specification = try PolicySpecification(parsing: text)
        if let capacity = wanted.capacity {
            try specification.addCapacity(capacity, in: registry)
        } else if specification.lacksCapacity(in: registry), let usual = standard.policy.declaredCapacity {
            return try policy(specification, upTo: usual, after: wanted.context)
        }
        return try registry.policy(specification)
    }

    /// The policy with so many entries, or with as many as fit where the server's own cache is; with the number as it is
    /// where none fits.
    private func policy(
        _ specification: PolicySpecification, upTo most: Int, after context: String?
    ) throws -> any CachePolicy {
        func policy(_ capacity: Int) throws -> any CachePolicy {
            var stated = specification
            try stated.addCapacity(capacity, in: registry)
            return try registry.policy(stated)
        }
        func bytes(_ capacity: Int) throws -> Int {
            try scheduler.cacheBytes(standard.with(policy(capacity)), after: context)
        }
        let room = scheduler.memory.cachePerSequence
        guard let all = try? bytes(most), all > room else { return try policy(most) }
        // With too few entries for its window a policy cannot be; the more, the more bytes.
        var (least, largest) = (1, most)
        while least < largest {
            let middle = (least + largest + 1) / 2
            let fits = (try? bytes(middle)).map { $0 <= room } ?? true
            (least, largest) = fits ? (middle, largest) : (least, middle - 1)
        }
        guard let found = try? bytes(least), found <= room else { return try policy(most) }
        return try policy(least)
    }
}
#endif
