public import Foundation

/// A JSON value that knows where it was read, so that a missing or misshapen field can be reported with its place.
public struct JSONRecord: Sendable {
    /// The file.
    public let url: URL
    /// The line that holds it; `nil` within a document of many lines.
    public let line: Int?
    /// Which element of a list it is, counted from 1.
    public var element: Int?
    /// The value.
    public let value: JSONValue

    package init(url: URL, line: Int?, element: Int? = nil, value: JSONValue) {
        self.url = url
        self.line = line
        self.element = element
        self.value = value
    }

    /// Whether there is a field with a value other than null.
    public func has(_ name: String) -> Bool {
        guard let value = value[name] else { return false }
        return value != .null
    }

    /// A text that must be there.
    public func text(_ name: String) throws -> String {
        let field = try require(name)
        guard let text = field.text else { throw problem("'\(name)' is \(field.kind), not a text") }
        return text
    }

    /// A whole number that must be there.
    public func integer(_ name: String) throws -> Int {
        let field = try require(name)
        guard let value = field.integer else { throw problem("'\(name)' is \(field.kind), not a whole number") }
        return value
    }

    /// A number that must be there.
    public func double(_ name: String) throws -> Double {
        let field = try require(name)
        guard let value = field.double else { throw problem("'\(name)' is \(field.kind), not a number") }
        return value
    }

    /// An object that must be there.
    public func record(_ name: String) throws -> JSONRecord {
        _ = try object(name)
        return JSONRecord(url: url, line: line, element: element, value: try require(name))
    }

    /// A list of texts (numbers are taken as their text, as Python's `str` would) that must be there.
    public func texts(_ name: String) throws -> [String] {
        let field = try require(name)
        guard let elements = field.elements else { throw problem("'\(name)' is \(field.kind), not a list of texts") }
        return try elements.map { element in
            guard let text = element.plainText else { throw problem("'\(name)' holds \(element.kind), not texts") }
            return text
        }
    }

    /// A list of texts, empty where the field is missing or null.
    public func optionalTexts(_ name: String) throws -> [String] { has(name) ? try texts(name) : [] }

    /// The elements of a list that must be there.
    public func list(_ name: String) throws -> [JSONRecord] {
        let field = try require(name)
        guard field.elements != nil else { throw problem("'\(name)' is \(field.kind), not a list") }
        return try JSONRecord(url: url, line: line, element: element, value: field).elements()
    }

    /// The elements of a value that must be a list.
    public func elements() throws -> [JSONRecord] {
        guard let elements = value.elements else { throw problem("it holds \(value.kind), not a list") }
        return elements.enumerated().map { index, value in
            JSONRecord(url: url, line: line, element: element ?? index + 1, value: value)
        }
    }

    /// The members of an object that must be there.
    public func object(_ name: String) throws -> [JSONMember] {
        let field = try require(name)
        guard let members = field.members else { throw problem("'\(name)' is \(field.kind), not an object") }
        return members
    }

    /// An error that names the file, the line and the element.
    public func problem(_ what: String) -> EvaluationError {
        EvaluationError(.format, file: url, line: line, element: element, what)
    }

    private func require(_ name: String) throws -> JSONValue {
        guard value.members != nil else { throw problem("it holds \(value.kind), not an object") }
        guard let field = value[name] else { throw problem("'\(name)' is missing") }
        return field
    }
}
