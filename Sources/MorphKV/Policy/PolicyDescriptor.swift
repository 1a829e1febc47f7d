/// What there is to know about a policy without making one.
public struct PolicyDescriptor: Sendable, Hashable {
    /// A parameter of a policy.
    public struct Parameter: Sendable, Hashable {
        /// Which values it takes.
        public enum Domain: Sendable, Hashable {
            /// A whole number.
            case integer(ClosedRange<Int>)
            /// A number.
            case number(ClosedRange<Double>)
            /// One of some words.
            case choice([String])
            /// Any number of numbers, joined by +; or, if there is one, a word that stands for something else.
            case numbers(orWord: String?)
        }

        /// Its name.
        public let name: String
        /// Which values it takes.
        public let domain: Domain
        /// The value it has when none is given; nil if one must be given.
        public let defaultValue: String?
        /// What it means, in a few words.
        public let summary: String

        /// Describes a whole number.
        public static func integer(
            _ name: String, in range: ClosedRange<Int>, default value: Int? = nil, _ summary: String
        ) -> Parameter {
            Parameter(name: name, domain: .integer(range), defaultValue: value.map { "\($0)" }, summary: summary)
        }

        /// Describes a number.
        public static func number(
            _ name: String, in range: ClosedRange<Double>, default value: Double? = nil, _ summary: String
        ) -> Parameter {
            Parameter(name: name, domain: .number(range), defaultValue: value.map { "\($0)" }, summary: summary)
        }

        /// Describes a list of numbers.
        ///
        /// - Parameter word: what stands for something else, by default; if nil, the list is empty by default.
        public static func numbers(_ name: String, orWord word: String? = nil, _ summary: String) -> Parameter {
            Parameter(name: name, domain: .numbers(orWord: word), defaultValue: word ?? "", summary: summary)
        }

        /// Describes a choice among the cases of an enumeration.
        public static func choice<Value: CaseIterable & RawRepresentable<String>>(
            _ name: String, default value: Value, _ summary: String
        ) -> Parameter {
            Parameter(
                name: name, domain: .choice(Value.allCases.map(\.rawValue)), defaultValue: value.rawValue,
                summary: summary)
        }
    }

    /// The name in the registry and on the command line.
    public let name: String
    /// What it keeps, in one line.
    public let summary: String
    /// The paper or code it comes from.
    public let source: String
    /// Its parameters.
    public let parameters: [Parameter]
    /// Named values for some of its parameters: `name:preset,key=value,...`.
    public let presets: [String: [String: String]]

    /// Describes a policy.
    public init(
        name: String, summary: String, source: String, parameters: [Parameter] = [],
        presets: [String: [String: String]] = [:]
    ) {
        self.name = name
        self.summary = summary
        self.source = source
        self.parameters = parameters
        self.presets = presets
    }
}

extension PolicyDescriptor.Parameter.Domain: CustomStringConvertible {
    /// The values, as in "1...64" or "sum|max".
    public var description: String {
        switch self {
        case .integer(let range): range.upperBound == .max ? "\(range.lowerBound)..." : "\(range)"
        case .number(let range): "\(range)"
        case .choice(let words): words.joined(separator: "|")
        case .numbers(let word): (word.map { "\($0)|" } ?? "") + "number+number+..."
        }
    }

    func accepts(_ value: String) -> Bool {
        switch self {
        case .integer(let range): Int(value).map(range.contains) ?? false
        case .number(let range): Double(value).map(range.contains) ?? false
        case .choice(let words): words.contains(value)
        case .numbers(let word):
            value == word || value.isEmpty || value.components("+").allSatisfy { Double($0) != nil }
        }
    }
}

/// The values of a policy's parameters, in the descriptor's order.
public struct PolicyArguments: Sendable, Hashable {
    /// One parameter's value.
    public struct Value: Sendable, Hashable {
        /// The parameter.
        public let name: String
        /// Its value, as text.
        public let value: String
    }

    /// All values, defaults included.
    public private(set) var values: [Value]

    /// Fills in what is missing and checks the rest.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` naming the parameter that is unknown, missing or out of range.
    public init(_ given: [String: String], for descriptor: PolicyDescriptor) throws {
        let names = descriptor.parameters.map(\.name)
        if let unknown = given.keys.sorted().first(where: { !names.contains($0) }) {
            let known = names.isEmpty ? "it has none" : "it has: \(names.joined(separator: ", "))"
            throw CacheError(.invalidPolicy, "\(descriptor.name) has no parameter '\(unknown)'; \(known)")
        }
        values = try descriptor.parameters.map { parameter in
            guard let value = given[parameter.name] ?? parameter.defaultValue else {
                throw CacheError(.invalidPolicy, "\(descriptor.name) needs a \(parameter.name)")
            }
            guard parameter.domain.accepts(value) else {
                throw CacheError(
                    .invalidPolicy,
                    "\(descriptor.name): \(parameter.name) is '\(value)', not \(parameter.domain)")
            }
            return Value(name: parameter.name, value: value)
        }
    }

    /// Arguments that are known to be well-formed.
    public init(_ values: KeyValuePairs<String, any CustomStringConvertible>) {
        self.values = values.map { Value(name: $0, value: $1.description) }
    }

    /// These arguments and one more.
    public func adding(_ name: String, _ value: some CustomStringConvertible) -> PolicyArguments {
        var result = self
        result.values.append(Value(name: name, value: value.description))
        return result
    }

    private subscript(name: String) -> String {
        guard let value = values.first(where: { $0.name == name }) else {
            preconditionFailure("a policy reads only parameters of its own descriptor, not '\(name)'")
        }
        return value.value
    }

    /// The value of a parameter that is a whole number.
    public func integer(_ name: String) -> Int { Int(self[name])! }

    /// The value of a parameter that is a number.
    public func number(_ name: String) -> Double { Double(self[name])! }

    /// The value of a parameter that is a list of numbers; nil if it is the word that stands for something else.
    public func numbers(_ name: String) -> [Double]? {
        guard !self[name].isEmpty else { return [] }
        let numbers = self[name].components("+").compactMap { Double($0) }
        return numbers.isEmpty ? nil : numbers
    }

    /// The value of a parameter that is a choice.
    public func choice<Choice: RawRepresentable<String>>(_ name: String) -> Choice { Choice(rawValue: self[name])! }
}

extension String {
    /// The parts between separators, empty ones included.
    fileprivate func components(_ separator: Character) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
