#if Server
internal import Foundation
internal import NIOCore
internal import NIOFoundationCompat

/// JSON as the interface has it: keys in snake case.
enum Coding {
    /// - Throws: ``APIError`` saying which field is missing or wrong.
    static func decode<Value: Decodable>(_ type: Value.Type, from body: ByteBuffer) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(buffer: body))
        } catch let error as DecodingError {
            throw apiError(error)
        }
    }

    static func encode(_ value: some Encodable) throws -> ByteBuffer {
        if let json = value as? JSONValue { return ByteBuffer(string: try json.text) }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .withoutEscapingSlashes
        return ByteBuffer(data: try encoder.encode(value))
    }

    /// A server-sent event.
    ///
    /// - Parameter name: the kind of event, in interfaces that name them.
    static func event(_ value: some Encodable, name: String? = nil) throws -> ByteBuffer {
        var buffer = ByteBuffer(string: (name.map { "event: \($0)\n" } ?? "") + "data: ")
        buffer.writeImmutableBuffer(try encode(value))
        buffer.writeStaticString("\n\n")
        return buffer
    }

    /// What the identifier of a new answer ends with: 32 letters and digits.
    static func newID() -> String { UUID().uuidString.filter { $0 != "-" }.lowercased() }

    private static func apiError(_ error: DecodingError) -> APIError {
        switch error {
        case .keyNotFound(let key, let context):
            let name = path(context.codingPath + [key])
            return .invalid("'\(name)' is missing", param: name)
        case .typeMismatch(_, let context) where !context.codingPath.isEmpty,
            .valueNotFound(_, let context) where !context.codingPath.isEmpty,
            .dataCorrupted(let context) where !context.codingPath.isEmpty:
            let name = path(context.codingPath)
            return .invalid("'\(name)' has the wrong type", param: name)
        case .typeMismatch, .valueNotFound: return .invalid("the body must be a JSON object")
        default: return .invalid("the body is not valid JSON", code: "invalid_json")
        }
    }

    /// The place in the body, as the client wrote it: messages[0].content.
    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            let name = key.stringValue.map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined()
            return path.isEmpty ? name : "\(path).\(name)"
        }
    }
}
#endif
