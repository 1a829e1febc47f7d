#if Server
internal import HTTPTypes
internal import Hummingbird

extension Response {
    /// A value as JSON.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        try encoded(value, status)
    }

    /// The same for literals, whose type is then known.
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) throws -> Response {
        try encoded(value, status)
    }

    private static func encoded(_ value: some Encodable, _ status: HTTPResponse.Status) throws -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: try Coding.encode(value)))
    }
}
#endif
