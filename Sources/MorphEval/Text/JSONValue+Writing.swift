extension JSONValue {
    /// The value as JSON on one line, members in their order; numbers that JSON cannot state are null.
    package var line: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.write(value, to: &text)
        case .array(let elements):
            Self.write(elements, between: "[", "]", to: &text) { $0.write(to: &$1) }
        case .object(let members):
            Self.write(members, between: "{", "}", to: &text) { member, text in
                Self.write(member.name, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
        }
    }

    private static func write<Part>(
        _ parts: [Part], between start: String, _ end: String, to text: inout String,
        _ write: (Part, inout String) -> Void
    ) {
        text += start
        for (index, part) in parts.enumerated() {
            if index > 0 { text += "," }
            write(part, &text)
        }
        text += end
    }

    private static func write(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension JSONValue {
    /// A list of texts.
    package init(_ texts: [String]) { self = .array(texts.map(JSONValue.string)) }

    /// A text, or null.
    package init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }

    /// A whole number, or null.
    package init(_ number: Int?) { self = number.map(JSONValue.integer) ?? .null }
}

extension [JSONMember] {
    /// Members from a literal, in its order.
    package init(_ members: KeyValuePairs<String, JSONValue>) {
        self = members.map { JSONMember(name: $0.key, value: $0.value) }
    }
}
