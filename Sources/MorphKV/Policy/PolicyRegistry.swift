/// The policies that can be named in text.
public struct PolicyRegistry: Sendable {
    /// The policies of this package.
    public static let standard = PolicyRegistry([
        FullPolicy.self,
        MorphKVPolicy.self,
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

    /// Reads a policy from text such as `morphkv:capacity=1024,window=32`.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the parameter concerned.
    public func policy(_ text: String) throws -> any CachePolicy {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var arguments: [String: String] = [:]
        for pair in parts.count > 1 ? parts[1].split(separator: ",") : [] {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, arguments.updateValue(String(sides[1]), forKey: String(sides[0])) == nil else {
                throw CacheError(.invalidPolicy, "'\(pair)' in '\(text)' is not key=value, each key once")
            }
        }
        return try policy(String(parts[0]), arguments)
    }

    /// Makes a policy from its name and some of its parameters.
    ///
    /// - Throws: ``CacheError`` that lists the policies or names the parameter concerned.
    public func policy(_ name: String, _ arguments: [String: String]) throws -> any CachePolicy {
        guard let type = types.first(where: { $0.descriptor.name == name }) else {
            let names = types.map { $0.descriptor.name }.joined(separator: ", ")
            throw CacheError(.unknownPolicy, "there is no policy '\(name)'; there are: \(names)")
        }
        return try type.init(PolicyArguments(arguments, for: type.descriptor))
    }
}
