#if Server
internal import MorphKV

/// A prompt as llama-server takes it: a text, token ids, texts and ids in a row, or an object with a text; or several of these.
struct NativePrompt: Decodable, Sendable {
    /// A text or a token id of a prompt.
    enum Part: Sendable, Hashable {
        case text(String)
        case token(Token)
    }

    /// One prompt.
    typealias Prompt = [Part]

    private(set) var prompts: [Prompt]
    /// Whether there is a list of prompts, which has a list of answers.
    private(set) var isList = false

    init(from decoder: any Decoder) throws {
        let value = try JSONValue(from: decoder)
        func fail() -> DecodingError {
            DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a prompt"))
        }
        if let single = try Self.single(value) {
            prompts = [single]
            return
        }
        guard case .array(let values) = value else { throw fail() }
        if values.contains(where: { if case .int = $0 { true } else { false } }) {
            prompts = [
                try values.map { value in
                    guard let part = Self.part(value) else { throw fail() }
                    return part
                }
            ]
            return
        }
        prompts = try values.map { value in
            if let single = try Self.single(value) { return single }
            guard case .array(let parts) = value else { throw fail() }
            return try parts.map { part in
                guard let part = Self.part(part) else { throw fail() }
                return part
            }
        }
        isList = true
    }

    /// A text, or an object with one; nil if it is neither.
    private static func single(_ value: JSONValue) throws -> Prompt? {
        if case .string(let text) = value { return [.text(text)] }
        guard case .object(let members) = value else { return nil }
        guard members["multimodal_data"] == nil else { throw APIError.notBuilt("images and audio") }
        guard case .string(let text) = members["prompt_string"] else { return nil }
        return [.text(text)]
    }

    private static func part(_ value: JSONValue) -> Part? {
        switch value {
        case .string(let text): .text(text)
        case .int(let token): Token(exactly: token).map(Part.token)
        default: nil
        }
    }

    /// The token ids of the prompts: a text at the beginning has what the model expects before a text.
    ///
    /// - Parameter isStart: whether a prompt begins a sequence.
    func tokens(_ tokenizer: Tokenizer, isStart: Bool) -> [[Token]] {
        prompts.map { prompt in
            prompt.enumerated().flatMap { index, part in
                switch part {
                case .token(let token): [token]
                case .text(let text): tokenizer.encode(text, addSpecial: isStart && index == 0, parseSpecial: true)
                }
            }
        }
    }
}
#endif
