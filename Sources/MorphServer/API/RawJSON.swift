#if Server
internal import MorphKV

/// A part of a request's body as it came. `JSONDecoder` loses the order of members, and what the model writes follows that of a
/// schema's; so schemas, tools and arguments are never decoded, but taken from the body.
struct RawJSON {
    private let bytes: [UInt8]
    /// Where it is in the body, for messages.
    private let place: String

    init(_ body: some Sequence<UInt8>) {
        bytes = Array(body)
        place = ""
    }

    private init(_ text: String, _ place: String) {
        bytes = Array(text.utf8)
        self.place = place
    }

    /// The part as a text.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// A member, by the keys and numbers on the way to it.
    ///
    /// - Throws: ``APIError`` if it is not there, or nested too deep.
    func member(_ path: String...) throws -> RawJSON {
        try found(path) { RawJSON(try OrderedJSON.member(of: bytes, at: path), $0) }
    }

    /// A member of an object that was decoded too; nil if it is not there or null.
    func member(_ name: String, of decoded: JSONValue) throws -> JSONValue? {
        guard decoded[name] != nil, decoded[name] != .null else { return nil }
        return .raw(try member(name).text)
    }

    /// The items of a list; errors are those of ``member(_:)``.
    func items(_ path: String...) throws -> [RawJSON] {
        try found(path) { place in
            try OrderedJSON.items(of: bytes, at: path).enumerated().map { RawJSON($1, "\(place)[\($0)]") }
        }
    }

    private func found<Result>(_ path: [String], _ body: (String) throws -> Result) throws -> Result {
        let place = path.reduce(place) { place, key in
            if key.first?.isNumber == true { return "\(place)[\(key)]" }
            return place.isEmpty ? key : "\(place).\(key)"
        }
        guard Grammar.isAvailable else { throw APIError.noTemplates(param: place) }
        do { return try body(place) } catch let error as GenerationError {
            throw APIError.invalid(error.description, param: place)
        }
    }
}
#endif
