/// A policy on its way from text to rule: its name, a preset and some arguments, none of them checked yet.
///
/// As text it is `name`, `name:key=value,...` or `name:preset,key=value,...`. ``PolicyRegistry`` knows which policies there
/// are and what they take, and makes one of it.
public struct PolicySpecification: Sendable, Hashable {
    /// The policy's name.
    public let name: String
    /// The words that name values which the policy's descriptor has for some of its parameters. All must be known to the
    /// policy; the last one counts.
    public let presets: [String]
    /// What is stated beside the presets, in the order in which it was, each parameter once.
    public private(set) var arguments: [PolicyArguments.Value] = []

    /// Names a policy.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` for a name that would read differently in text.
    public init(_ name: String, preset: String? = nil) throws {
        guard !name.utf8.contains(.colon) else {
            throw CacheError(.invalidPolicy, "a policy's name has no colon, unlike '\(name)'")
        }
        if let preset, preset.isEmpty || preset.utf8.contains(.comma) || preset.utf8.contains(.equals) {
            throw CacheError(.invalidPolicy, "'\(preset)' cannot be the name of a preset")
        }
        self.name = name
        presets = preset.map { [$0] } ?? []
    }

    /// Reads text such as `morphkv:capacity=1024,window=32` or `morphkv:reference,capacity=1024`.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` for a parameter that is stated twice.
    public init(parsing text: String) throws {
        name = Self.name(in: text)
        var presets: [String] = []
        // Separators are bytes: what follows one may be a character that would combine with it.
        for word in text.utf8.dropFirst(name.utf8.count + 1).split(separator: .comma) {
            let sides = word.split(separator: .equals, maxSplits: 1, omittingEmptySubsequences: false)
                .map { String(Substring($0)) }
            if sides.count == 1 {
                presets.append(sides[0])
            } else {
                try Self.add(sides[0], sides[1], to: &arguments)
            }
        }
        self.presets = presets
    }

    /// The policy's name in text that ``init(parsing:)`` reads.
    static func name(in text: String) -> String { String(Substring(text.utf8.prefix { $0 != .colon })) }

    /// What says the same as a policy: its name and the values that are not the defaults.
    public init(_ policy: some CachePolicy) {
        let descriptor = type(of: policy).descriptor
        name = descriptor.name
        presets = []
        arguments = zip(policy.arguments.values, descriptor.parameters).filter { $0.value != $1.defaultValue }.map(\.0)
    }

    /// The name of the values that arguments come on top of, if there is one.
    public var preset: String? { presets.last }

    /// The value that is stated for a parameter, the preset aside.
    public subscript(_ parameter: String) -> String? { arguments.first { $0.name == parameter }?.value }

    /// States a parameter that was not stated before.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if it was, or its value would read differently in text.
    public mutating func add(_ parameter: String, _ value: some CustomStringConvertible) throws {
        try Self.add(parameter, value.description, to: &arguments)
    }

    /// States a parameter, in place of what was stated before.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if its value would read differently in text.
    public mutating func set(_ parameter: String, _ value: some CustomStringConvertible) throws {
        guard let index = arguments.firstIndex(where: { $0.name == parameter }) else {
            return try add(parameter, value)
        }
        try Self.check(parameter, value.description)
        arguments[index] = PolicyArguments.Value(name: parameter, value: value.description)
    }

    /// Takes back what was stated for a parameter.
    public mutating func remove(_ parameter: String) { arguments.removeAll { $0.name == parameter } }

    private static func add(
        _ parameter: String, _ value: String, to arguments: inout [PolicyArguments.Value]
    ) throws {
        try check(parameter, value)
        if let stated = arguments.first(where: { $0.name == parameter }) {
            throw CacheError(
                .invalidPolicy, "\(parameter) is stated twice, as '\(stated.value)' and '\(value)': once is possible")
        }
        arguments.append(PolicyArguments.Value(name: parameter, value: value))
    }

    private static func check(_ parameter: String, _ value: String) throws {
        guard !value.utf8.contains(.comma), !parameter.utf8.contains(.comma), !parameter.utf8.contains(.equals) else {
            throw CacheError(.invalidPolicy, "'\(parameter)' cannot be '\(value)': a comma would end it")
        }
    }
}

/// The capacity, whichever parameter that is for the policy.
extension PolicySpecification {
    /// Whether the policy has a capacity that is not stated.
    public func lacksCapacity(in registry: PolicyRegistry = .standard) -> Bool {
        capacityParameter(in: registry).map { self[$0] == nil } ?? false
    }

    /// States the capacity, which was not stated before.
    ///
    /// - Throws: ``CacheError`` if it was, or the policy has none, or there is no such policy.
    public mutating func addCapacity(_ entries: Int, in registry: PolicyRegistry = .standard) throws {
        try add(neededCapacityParameter(in: registry), entries)
    }

    /// States the capacity, in place of what was stated before.
    ///
    /// - Throws: ``CacheError`` if the policy has none, or there is no such policy.
    public mutating func setCapacity(_ entries: Int, in registry: PolicyRegistry = .standard) throws {
        try set(neededCapacityParameter(in: registry), entries)
    }

    /// Takes back what was stated for the capacity.
    public mutating func removeCapacity(in registry: PolicyRegistry = .standard) {
        if let parameter = capacityParameter(in: registry) { remove(parameter) }
    }

    private func capacityParameter(in registry: PolicyRegistry) -> String? {
        (try? registry.descriptor(named: name))?.capacity?.name
    }

    private func neededCapacityParameter(in registry: PolicyRegistry) throws -> String {
        let descriptor = try registry.descriptor(named: name)
        guard let parameter = descriptor.capacity else { throw descriptor.hasNo("capacity") }
        return parameter.name
    }
}

extension PolicySpecification: CustomStringConvertible {
    /// The text that ``init(parsing:)`` reads.
    public var description: String {
        let words = presets + arguments.map { "\($0.name)=\($0.value)" }
        return words.isEmpty ? name : "\(name):\(words.joined(separator: ","))"
    }
}

extension UInt8 {
    fileprivate static let colon = UInt8(ascii: ":")
    fileprivate static let comma = UInt8(ascii: ",")
    fileprivate static let equals = UInt8(ascii: "=")
}
