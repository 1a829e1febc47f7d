#if Server
internal import Foundation

/// Any JSON, for bodies and answers whose members are not known before.
enum JSONValue: Codable, Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
    /// JSON as it came, whose members keep their order; see ``RawJSON``.
    case raw(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        // JSON has no other numbers.
        case .double(let value): value.isFinite ? try container.encode(value) : try container.encodeNil()
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        case .raw(let text):
            try container.encode(JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))
        }
    }

    /// A number as the shortest decimal that gives it back.
    static func float(_ value: Float) -> JSONValue { .double(Double("\(value)") ?? Double(value)) }

    /// As text: members in the order of their names, but for what is ``raw(_:)``.
    var text: String {
        get throws {
            switch self {
            case .raw(let text): return text
            case .array(let values) where hasRaw:
                return "[" + (try values.map { try $0.text }.joined(separator: ",")) + "]"
            case .object(let members) where hasRaw:
                let texts = try members.sorted { $0.key < $1.key }.map { key, value in
                    try Self.string(key).text + ":" + value.text
                }
                return "{" + texts.joined(separator: ",") + "}"
            default:
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                return String(decoding: try encoder.encode(self), as: UTF8.self)
            }
        }
    }

    /// Whether any of it is as it came.
    private var hasRaw: Bool {
        switch self {
        case .raw: true
        case .array(let values): values.contains(where: \.hasRaw)
        case .object(let members): members.values.contains(where: \.hasRaw)
        default: false
        }
    }

    /// A member of an object; nil if it is none or has no such member.
    subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    /// The value at a path of members, `a/b`.
    func value(at path: String) -> JSONValue? {
        path.split(separator: "/").reduce(self) { $0?[String($1)] }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int) { self = .int(value) }
    init(floatLiteral value: Double) { self = .double(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}
#endif
