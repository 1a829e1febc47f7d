/// The policies that can be named in text.
public struct PolicyRegistry: Sendable {
    /// The policies of this package.
    public static let standard = PolicyRegistry([
        FullPolicy.self,
        StreamingPolicy.self,
        H2OPolicy.self,
        TOVAPolicy.self,
        MorphKVPolicy.self,
        AugurPolicy.self,
        KeyDiffPolicy.self,
        RandomPolicy.self,
        SnapKVPolicy.self,
        PyramidKVPolicy.self,
        AdaKVPolicy.self,
        KVzipPolicy.self,
    ])

    private var types: [any CachePolicy.Type]

    /// A registry of some policies.
    public init(_ types: [any CachePolicy.Type]) { self.types = types }

    /// The registry with further policies; one of a known name replaces it.
    public func adding(_ more: any CachePolicy.Type...) -> PolicyRegistry {
        let names = more.map { $0.descriptor.name }
        return PolicyRegistry(types.filter { !names.contains($0.descriptor.name) } + more)
    }

    /// What there is to know about each policy.
    public var descriptors: [PolicyDescriptor] { types.map { $0.descriptor } }

    /// Reads a policy from text such as `morphkv:capacity=1024,window=32` or `morphkv:reference,capacity=1024`.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the parameter concerned.
    public func policy(_ text: String) throws -> any CachePolicy {
        // Of several mistakes the policy's name is reported first.
        _ = try type(named: PolicySpecification.name(in: text))
        return try policy(PolicySpecification(parsing: text))
    }

    /// Makes a policy of what is stated about it.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the preset or parameter concerned.
    public func policy(_ specification: PolicySpecification) throws -> any CachePolicy {
        let type = try type(named: specification.name)
        var values: [String: String] = [:]
        for preset in specification.presets {
            let presets = type.descriptor.presets
            guard let known = presets[preset] else {
                throw CacheError(
                    .invalidPolicy,
                    "'\(preset)' in '\(specification)' is neither key=value, each key once, nor a preset "
                        + "(\(presets.keys.sorted().joined(separator: ", ")))")
            }
            values = known
        }
        for argument in specification.arguments { values[argument.name] = argument.value }
        return try type.init(PolicyArguments(values, for: type.descriptor))
    }

    /// Makes a policy from its name and some of its parameters.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the parameter concerned.
    public func policy(_ name: String, _ arguments: [String: String]) throws -> any CachePolicy {
        let type = try type(named: name)
        return try type.init(PolicyArguments(arguments, for: type.descriptor))
    }

    /// What there is to know about one policy.
    ///
    /// - Throws: ``CacheError`` of kind `unknownPolicy` that lists the policies.
    public func descriptor(named name: String) throws -> PolicyDescriptor { try type(named: name).descriptor }

    private func type(named name: String) throws -> any CachePolicy.Type {
        guard let type = types.first(where: { $0.descriptor.name == name }) else {
            let names = types.map { $0.descriptor.name }.joined(separator: ", ")
            throw CacheError(.unknownPolicy, "there is no policy '\(name)'; there are: \(names)")
        }
        return type
    }
}
