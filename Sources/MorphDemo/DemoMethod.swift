package import MorphKV

/// A policy and how much it may keep.
package struct DemoMethod: Sendable, Hashable {
    /// The policy without its capacity, as text.
    package var policy: String { specification.description }
    /// How much it may keep; nil where the policy has no capacity or states it itself.
    package let capacity: DemoCapacity?
    let specification: PolicySpecification

    /// The methods of some policies: one for each capacity where the policy has one and does not state it itself.
    ///
    /// - Throws: `CacheError` if there is no such policy, or it cannot be with such parameters.
    package static func methods(
        _ policies: [String], _ capacities: [DemoCapacity], in registry: PolicyRegistry = .standard
    ) throws -> [DemoMethod] {
        try policies.flatMap { text in
            let specification = try PolicySpecification(parsing: text)
            let takesCapacity = specification.lacksCapacity(in: registry)
            return try (takesCapacity ? capacities.map(\.self) : [nil]).map { capacity in
                let method = DemoMethod(capacity: capacity, specification: specification)
                _ = try method.cachePolicy(responseTokens: 2_000, in: registry)
                return method
            }
        }
    }

    /// Everything that a registry has for a model: each policy as it is, with each preset, and with each choice that is
    /// not its default, one at a time; and ``additional``. What needs further parameters, or a calibration that the model
    /// does not have, is left out.
    package static func allPolicies(
        for model: Model, in registry: PolicyRegistry = .standard
    ) throws -> [String] {
        let additional = try additional.map { try PolicySpecification(parsing: $0) }
        return try registry.descriptors.flatMap { descriptor -> [String] in
            let presets = try descriptor.presets.keys.sorted().map {
                try PolicySpecification(descriptor.name, preset: $0)
            }
            let variants = try presets + choices(of: descriptor) + additional.filter { $0.name == descriptor.name }
            return try ([PolicySpecification(descriptor.name)] + variants)
                .filter { isComplete($0, for: model, in: registry) }.map(\.description)
        }
    }

    /// A policy with each choice that is not its default, one at a time.
    private static func choices(of descriptor: PolicyDescriptor) throws -> [PolicySpecification] {
        try descriptor.parameters.flatMap { parameter -> [PolicySpecification] in
            guard case .choice(let words) = parameter.domain else { return [] }
            return try words.filter { isWorthARow($0, for: parameter) }.map { word in
                var specification = try PolicySpecification(descriptor.name)
                try specification.add(parameter.name, word)
                return specification
            }
        }
    }

    /// Whether a choice is another one than the default; where slots are even by default, by layers is the one other
    /// way to spread them that all policies have.
    private static func isWorthARow(_ word: String, for parameter: PolicyDescriptor.Parameter) -> Bool {
        let even = SlotBudgets.Spread.even.rawValue
        if parameter.name == "budgets", parameter.defaultValue == even {
            return word == SlotBudgets.Spread.layer.rawValue
        }
        return word != parameter.defaultValue
    }

    /// Whether a policy needs nothing but a capacity and what the model has.
    private static func isComplete(
        _ policy: PolicySpecification, for model: Model, in registry: PolicyRegistry
    ) -> Bool {
        let capacity: DemoCapacity? = policy.lacksCapacity(in: registry) ? .entries(256) : nil
        let method = DemoMethod(capacity: capacity, specification: policy)
        let plan = try? CachePlan(
            model, DiaryWriter.options(method.cachePolicy(responseTokens: 0, in: registry)), tokens: 256)
        return plan != nil
    }

    /// Variants worth a row that no preset and no choice names.
    private static let additional = ["morphkv:decay=0.95"]

    /// The policy for a response of that many tokens; see ``cachePolicy(entries:in:)``.
    package func cachePolicy(
        responseTokens: Int, in registry: PolicyRegistry = .standard
    ) throws -> any CachePolicy {
        guard let capacity else { return try registry.policy(specification) }
        return try cachePolicy(entries: capacity.entries(forResponse: responseTokens), in: registry)
    }

    /// The policy with that many entries per KV head.
    ///
    /// A window that is not stated is the policy's default, but at most a quarter of the capacity.
    package func cachePolicy(
        entries: Int, in registry: PolicyRegistry = .standard
    ) throws -> any CachePolicy {
        try specification.policy(entries: entries, in: registry)
    }

    /// Whether the number of entries depends on how long a full cache's response is.
    package var needsResponseLength: Bool { capacity?.isShare ?? false }

    /// Whether the cache keeps everything.
    package var isFull: Bool { specification.name == FullPolicy.descriptor.name }
}
