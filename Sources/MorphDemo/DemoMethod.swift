package import MorphKV

/// A policy and how much it may keep.
package struct DemoMethod: Sendable, Hashable {
    /// The policy without its capacity, as text.
    package let policy: String
    /// How much it may keep; nil where the policy has no capacity or states it itself.
    package let capacity: DemoCapacity?
    private let descriptor: PolicyDescriptor

    /// The methods of some policies: one for each capacity where the policy has one and does not state it itself.
    ///
    /// - Throws: `CacheError` if there is no such policy, or it cannot be with such parameters.
    package static func methods(
        _ policies: [String], _ capacities: [DemoCapacity], in registry: PolicyRegistry = .standard
    ) throws -> [DemoMethod] {
        try policies.flatMap { policy in
            let name = String(policy.prefix { $0 != ":" })
            guard let descriptor = registry.descriptors.first(where: { $0.name == name }) else {
                _ = try registry.policy(policy)
                return [DemoMethod]()
            }
            let takesCapacity = capacityName(descriptor).map { !stated($0, in: policy) } ?? false
            return try (takesCapacity ? capacities.map(\.self) : [nil]).map { capacity in
                let method = DemoMethod(policy: policy, capacity: capacity, descriptor: descriptor)
                _ = try method.cachePolicy(responseTokens: 2_000, in: registry)
                return method
            }
        }
    }

    /// Everything that a registry has: each policy as it is, with each preset, and with each choice that is not its
    /// default, one at a time, unless that needs further parameters; and ``additional``.
    package static func allPolicies(in registry: PolicyRegistry = .standard) -> [String] {
        registry.descriptors.flatMap { descriptor -> [String] in
            let presets = descriptor.presets.keys.sorted().map { "\(descriptor.name):\($0)" }
            let choices = descriptor.parameters.flatMap { parameter -> [String] in
                guard case .choice(let words) = parameter.domain else { return [] }
                return words.filter { $0 != parameter.defaultValue }
                    .map { "\(descriptor.name):\(parameter.name)=\($0)" }.filter { isComplete($0, in: registry) }
            }
            return [descriptor.name] + presets + choices + additional.filter { $0.hasPrefix("\(descriptor.name):") }
        }
    }

    /// Whether a policy needs nothing but a capacity.
    private static func isComplete(_ policy: String, in registry: PolicyRegistry) -> Bool {
        let layer = LayerGeometry(layer: 0, layerCount: 4, queryHeads: 4, kvHeads: 2, headDimension: 32)
        let rule = try? methods([policy], [.entries(256)], in: registry)
            .first?.cachePolicy(responseTokens: 0, in: registry).rule(for: layer)
        return rule != nil
    }

    /// Variants worth a row that no preset and no choice names.
    private static let additional = ["morphkv:decay=0.95"]

    /// The policy for a response of that many tokens.
    ///
    /// A window that is not stated is the policy's default, but at most a quarter of the capacity.
    package func cachePolicy(
        responseTokens: Int, in registry: PolicyRegistry = .standard
    ) throws -> any CachePolicy {
        guard let capacity, let capacityName = Self.capacityName(descriptor) else { return try registry.policy(policy) }
        let entries = capacity.entries(forResponse: responseTokens)
        var given = ["\(capacityName)=\(entries)"]
        if let window = descriptor.parameters.first(where: { $0.name == "window" }),
            !Self.stated("window", in: policy), let usual = window.defaultValue.flatMap({ Int($0) })
        {
            given.append("window=\(min(usual, max(1, entries / 4)))")
        }
        return try registry.policy(policy + (policy.contains(":") ? "," : ":") + given.joined(separator: ","))
    }

    /// Whether the number of entries depends on how long a full cache's response is.
    package var needsResponseLength: Bool { capacity?.isShare ?? false }

    /// Whether the cache keeps everything.
    package var isFull: Bool { descriptor.name == FullPolicy.descriptor.name }

    private static func capacityName(_ descriptor: PolicyDescriptor) -> String? {
        ["capacity", "promptCapacity"].first { name in descriptor.parameters.contains { $0.name == name } }
    }

    private static func stated(_ parameter: String, in policy: String) -> Bool {
        policy.split(whereSeparator: { $0 == ":" || $0 == "," }).contains { $0.hasPrefix("\(parameter)=") }
    }
}
