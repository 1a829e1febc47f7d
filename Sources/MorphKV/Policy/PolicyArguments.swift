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
            throw descriptor.hasNo(unknown)
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
        let numbers = self[name].summands.compactMap { Double($0) }
        return numbers.isEmpty ? nil : numbers
    }

    /// The value of a parameter that is a choice.
    public func choice<Choice: RawRepresentable<String>>(_ name: String) -> Choice { Choice(rawValue: self[name])! }
}

extension String {
    /// The parts between plus signs, empty ones included.
    var summands: [String] { split(separator: "+", omittingEmptySubsequences: false).map(String.init) }
}
