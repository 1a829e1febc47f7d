#if Server
internal import MorphKV

/// Biases as llama-server takes them: pairs of a token id or a text with a number, or with false for never; or an object of
/// such pairs. A text stands for all of its tokens.
struct NativeBias: Decodable, Sendable {
    private var pairs: [(key: JSONValue, bias: JSONValue)]
    /// What stands for never: more than any logit, and finite.
    static let never: Float = -1e9

    init(from decoder: any Decoder) throws {
        switch try JSONValue(from: decoder) {
        case .object(let members): pairs = members.map { (.string($0.key), $0.value) }
        case .array(let values):
            pairs = try values.map { value in
                guard case .array(let pair) = value, pair.count == 2 else {
                    throw DecodingError.dataCorrupted(
                        .init(codingPath: decoder.codingPath, debugDescription: "not a pair"))
                }
                return (pair[0], pair[1])
            }
        default:
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a list"))
        }
    }

    /// The biases of tokens.
    ///
    /// - Throws: ``APIError`` if there are too many, or one is no number.
    func biases(_ tokenizer: Tokenizer) throws -> [Token: Float] {
        guard pairs.count <= 1024 else {
            throw APIError.invalid("'logit_bias' has more than 1024 entries", param: "logit_bias")
        }
        var biases: [Token: Float] = [:]
        for (key, bias) in pairs {
            let value = try Self.value(bias)
            for token in try Self.tokens(key, tokenizer) { biases[token] = value }
        }
        return biases
    }

    private static func value(_ bias: JSONValue) throws -> Float {
        switch bias {
        case .bool(false): return never
        case .int(let number): return max(never, min(-never, Float(number)))
        case .double(let number): return max(never, min(-never, Float(number)))
        default: throw APIError.invalid("a bias in 'logit_bias' is neither a number nor false", param: "logit_bias")
        }
    }

    private static func tokens(_ key: JSONValue, _ tokenizer: Tokenizer) throws -> [Token] {
        switch key {
        case .int(let number):
            guard let token = Token(exactly: number), tokenizer.contains(token) else {
                throw APIError.invalid("'logit_bias' has a token id that there is not", param: "logit_bias")
            }
            return [token]
        case .string(let text):
            if let number = Int(text) { return try tokens(.int(number), tokenizer) }
            return tokenizer.encode(text, addSpecial: false)
        default: throw APIError.invalid("'logit_bias' has a key that is no token", param: "logit_bias")
        }
    }
}
#endif
