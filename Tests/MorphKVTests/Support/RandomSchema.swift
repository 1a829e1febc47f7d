import Foundation

/// JSON schemas drawn at random, each with its own check of what it allows, written from the specification and not from
/// the grammar.
indirect enum RandomSchema {
    case string(lengths: ClosedRange<Int>)
    case integer(ClosedRange<Int>)
    case number, boolean, null
    case constant(String)
    case options([String])
    case array(RandomSchema, counts: ClosedRange<Int>)
    case object([(key: String, value: RandomSchema, isRequired: Bool)])
    case either([RandomSchema])

    static func draw(depth: Int, _ random: inout some RandomNumberGenerator) -> RandomSchema {
        let least = Int.random(in: 0...3, using: &random)
        let words = (0..<3).map { _ in word(&random) }
        switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &random) {
        case 0: return .string(lengths: least...least + 6)
        case 1: return .integer(-20...Int.random(in: -10...5000, using: &random))
        case 2: return .number
        case 3: return .boolean
        case 4: return .null
        case 5: return .constant(words[0])
        case 6: return .options(words)
        case 7: return .array(draw(depth: depth - 1, &random), counts: least...least + 2)
        case 8: return .either((0..<2).map { _ in draw(depth: depth - 1, &random) })
        default:
            return .object(
                (0...least).map {
                    ("\(word(&random))\($0)", draw(depth: depth - 1, &random), .random(using: &random))
                })
        }
    }

    private static func word(_ random: inout some RandomNumberGenerator) -> String {
        let letters = Array("abc ö\"\\{]π")
        return String((0..<4).map { _ in letters.randomElement(using: &random)! })
    }

    /// The schema as JSON, members in their order.
    var json: String {
        switch self {
        case .string(let lengths):
            #"{"type": "string", "minLength": \#(lengths.lowerBound), "maxLength": \#(lengths.upperBound)}"#
        case .integer(let range):
            #"{"type": "integer", "minimum": \#(range.lowerBound), "maximum": \#(range.upperBound)}"#
        case .number: #"{"type": "number"}"#
        case .boolean: #"{"type": "boolean"}"#
        case .null: #"{"type": "null"}"#
        case .constant(let text): #"{"const": \#(Self.quoted(text))}"#
        case .options(let texts): #"{"enum": [\#(texts.map(Self.quoted).joined(separator: ", "))]}"#
        case .array(let item, let counts):
            #"{"type": "array", "items": \#(item.json), "minItems": \#(counts.lowerBound), "maxItems": \#(counts.upperBound)}"#
        case .object(let members):
            #"{"type": "object", "additionalProperties": false, "properties": {"#
                + members.map { "\(Self.quoted($0.key)): \($0.value.json)" }.joined(separator: ", ")
                + #"}, "required": ["#
                + members.filter(\.isRequired).map { Self.quoted($0.key) }.joined(separator: ", ") + "]}"
        case .either(let schemas): #"{"anyOf": [\#(schemas.map(\.json).joined(separator: ", "))]}"#
        }
    }

    private static func quoted(_ text: String) -> String {
        String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self)
    }

    /// Whether a value, as JSONSerialization gives it, is allowed.
    func allows(_ value: Any) -> Bool {
        let number = (value as? NSNumber).flatMap { Self.isBoolean($0) ? nil : $0 }
        switch self {
        case .string(let lengths): return (value as? String).map { lengths.contains($0.unicodeScalars.count) } ?? false
        case .integer(let range):
            return number.map { $0.doubleValue.rounded() == $0.doubleValue && range.contains($0.intValue) } ?? false
        case .number: return number != nil
        case .boolean: return (value as? NSNumber).map(Self.isBoolean) ?? false
        case .null: return value is NSNull
        case .constant(let text): return value as? String == text
        case .options(let texts): return (value as? String).map(texts.contains) ?? false
        case .array(let item, let counts):
            return (value as? [Any]).map { counts.contains($0.count) && $0.allSatisfy(item.allows) } ?? false
        case .object(let members):
            guard let object = value as? [String: Any] else { return false }
            return Set(object.keys).isSubset(of: members.map(\.key))
                && members.allSatisfy { member in object[member.key].map(member.value.allows) ?? !member.isRequired }
        case .either(let schemas): return schemas.contains { $0.allows(value) }
        }
    }

    private static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
