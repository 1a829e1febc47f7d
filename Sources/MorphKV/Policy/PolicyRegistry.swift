/// The policies that can be named in text.
public struct PolicyRegistry: Sendable {
    /// The policies of this package.
    public static let standard = PolicyRegistry([
        FullPolicy.self,
        StreamingPolicy.self,
        H2OPolicy.self,
        TOVAPolicy.self,
        MorphKVPolicy.self,
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
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let type = try type(named: String(parts[0]))
        var given: [String: String] = [:]
        var preset: [String: String] = [:]
        for word in parts.count > 1 ? parts[1].split(separator: ",") : [] {
            let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if sides.count == 1, let values = type.descriptor.presets[sides[0]] {
                preset = values
            } else if sides.count < 2 || given.updateValue(sides[1], forKey: sides[0]) != nil {
                let presets = type.descriptor.presets.keys.sorted().joined(separator: ", ")
                throw CacheError(
                    .invalidPolicy,
                    "'\(word)' in '\(text)' is neither key=value, each key once, nor a preset (\(presets))")
            }
        }
        return try policy(String(parts[0]), preset.merging(given) { $1 })
    }

    /// Makes a policy from its name and some of its parameters.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the parameter concerned.
    public func policy(_ name: String, _ arguments: [String: String]) throws -> any CachePolicy {
        let type = try type(named: name)
        return try type.init(PolicyArguments(arguments, for: type.descriptor))
    }

    private func type(named name: String) throws -> any CachePolicy.Type {
        guard let type = types.first(where: { $0.descriptor.name == name }) else {
            let names = types.map { $0.descriptor.name }.joined(separator: ", ")
            throw CacheError(.unknownPolicy, "there is no policy '\(name)'; there are: \(names)")
        }
        return type
    }
}
