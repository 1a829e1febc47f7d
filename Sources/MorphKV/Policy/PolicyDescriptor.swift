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
        /// Whether it is declared as the policy's capacity: how many entries a KV head keeps.
        public private(set) var isCapacity = false

        /// Describes the policy's capacity, a whole number of entries per KV head. A policy has one at most.
        public static func capacity(
            named name: String = "capacity", in range: ClosedRange<Int> = 1...Int.max, _ summary: String
        ) -> Parameter {
            var parameter = integer(name, in: range, summary)
            parameter.isCapacity = true
            return parameter
        }

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

        /// Describes the share of a policy's capacity that the sequence's first prompt is sure of: it is not evicted below
        /// it (``ScoringRule/keeping(prompt:)``).
        public static func prompt(default value: Double = 0) -> Parameter {
            number("prompt", in: 0...1, default: value, "share of the capacity that the first prompt is sure of")
        }

        /// Describes a list of numbers.
        ///
        /// - Parameters:
        ///   - name: as in `name=value`.
        ///   - word: what stands for something else, by default; if nil, the list is empty by default.
        ///   - summary: what it does, for a person.
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

    /// The parameter that is the capacity, if there is one: the one that is declared as such, else the one of that name.
    public var capacity: Parameter? {
        parameters.first(where: \.isCapacity) ?? parameter("capacity") ?? parameter("promptCapacity")
    }

    /// The parameter of that name, if there is one.
    public func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }

    /// What is wrong with a parameter that it does not have.
    func hasNo(_ parameter: String) -> CacheError {
        let names = parameters.map(\.name).joined(separator: ", ")
        let known = names.isEmpty ? "it has none" : "it has: \(names)"
        return CacheError(.invalidPolicy, "\(name) has no parameter '\(parameter)'; \(known)")
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
            value == word || value.isEmpty || value.summands.allSatisfy { Double($0) != nil }
        }
    }
}
