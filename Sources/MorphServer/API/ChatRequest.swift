#if Server
internal import MorphKV

/// The body of `POST /v1/chat/completions`.
struct ChatRequest: Decodable, Sendable {
    struct Message: Decodable, Sendable {
        var role: String
        var content: Content?
        var toolCalls: [Call]?
        var toolCallId: String?
        var name: String?
        var reasoningContent: String?
        var morphkv: Extension?
    }

    /// A call that the model asked for.
    struct Call: Decodable, Sendable {
        struct Function: Decodable, Sendable {
            var name: String
            var arguments: Arguments?
        }

        /// A text, or an object, which is looked up in the body.
        struct Arguments: Decodable, Sendable {
            var text: String?

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                text = try? container.decode(String.self)
                if text == nil { _ = try container.decode([String: AnswerShape.Present].self) }
            }
        }

        var id: String?
        var type: String?
        var function: Function
    }

    /// This server's own extensions of a message.
    struct Extension: Decodable, Sendable {
        /// Whether its tokens are never evicted; if it does not say, those of the system prompt may be.
        var pin: Bool?
    }

    /// A text, or a list of parts of which only texts are understood.
    enum Content: Decodable, Sendable {
        struct Part: Decodable, Sendable {
            var type: String
            var text: String?
        }

        case text(String)
        case parts([Part])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .parts(try container.decode([Part].self))
            }
        }
    }

    /// A value that only counts as being there.
    struct Ignored: Decodable, Sendable {}

    var fields: GenerationFields
    var messages: [Message]
    var logprobs: Bool?
    var topLogprobs: Int?
    var functions: [Ignored]?
    var toolFields: ToolFields
    var shape: AnswerShape

    private enum CodingKeys: CodingKey {
        case messages, logprobs, topLogprobs, functions
    }

    init(from decoder: any Decoder) throws {
        fields = try GenerationFields(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        messages = try container.decode([Message].self, forKey: .messages)
        logprobs = try container.decodeIfPresent(Bool.self, forKey: .logprobs)
        topLogprobs = try container.decodeIfPresent(Int.self, forKey: .topLogprobs)
        functions = try container.decodeIfPresent([Ignored].self, forKey: .functions)
        toolFields = try ToolFields(from: decoder)
        shape = try AnswerShape(from: decoder)
    }

    /// - Throws: ``APIError`` naming the field that is out of range or not supported.
    func validate(_ configuration: ServerConfiguration) throws {
        try fields.validate(configuration)
        guard !messages.isEmpty else { throw APIError.invalid("'messages' is empty", param: "messages") }
        guard (0...20).contains(topLogprobs ?? 0) else {
            throw APIError.invalid("'top_logprobs' must be from 0 to 20", param: "top_logprobs")
        }
        guard topLogprobs == nil || logprobs == true else {
            throw APIError.invalid("'top_logprobs' needs 'logprobs'", param: "top_logprobs")
        }
        guard (functions ?? []).isEmpty else {
            throw APIError.invalid("'functions' are 'tools' by now", param: "functions", code: "unsupported")
        }
        try toolFields.validate()
    }

    /// The conversation in the words of the library.
    func conversation() throws -> [Tokenizer.Message] {
        try messages.enumerated().map { index, message in
            let roles = [
                "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
            ]
            guard let role = roles[message.role] else {
                throw APIError.invalid(
                    "the role '\(message.role.prefix(40))' is not one of system, developer, user, assistant, tool",
                    param: "messages[\(index)].role")
            }
            return Tokenizer.Message(role: role, content: try text(of: message, index))
        }
    }

    private func text(of message: Message, _ index: Int) throws -> String {
        switch message.content {
        case nil: return ""
        case .text(let text): return text
        case .parts(let parts):
            // As llama-server joins them: by an empty line in a message that is gone on with.
            let isContinued = try index == messages.count - 1 && continuesLastMessage()
            return try parts.map { part in
                guard part.type == "text", let text = part.text else {
                    throw APIError.invalid(
                        "only parts of type 'text' are understood", param: "messages[\(index)].content",
                        code: "unsupported")
                }
                return text
            }.joined(separator: isContinued ? "\n\n" : "\n")
        }
    }
}
#endif
