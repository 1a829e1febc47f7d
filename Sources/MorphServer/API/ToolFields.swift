#if Server
internal import MorphKV

/// The fields of a chat request that need a chat template: tools, reasoning, and what the template itself takes.
struct ToolFields: Decodable, Sendable {
    struct Tool: Decodable, Sendable {
        struct Function: Decodable, Sendable {
            var name: String
            var description: String?
            var parameters: [String: AnswerShape.Present]?
            var strict: Bool?
        }

        var type: String
        var function: Function
    }

    /// "auto", "none", "required", or one function.
    enum Choice: Decodable, Sendable {
        case word(String)
        case function(String)

        private struct Named: Decodable {
            struct Function: Decodable { var name: String }

            var type: String
            var function: Function
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let word = try? container.decode(String.self) {
                self = .word(word)
            } else {
                self = .function(try container.decode(Named.self).function.name)
            }
        }
    }

    /// Variables of the template, of which one is known by name.
    struct Arguments: Decodable, Sendable {
        var enableThinking: Bool?
    }

    /// The most functions of a request.
    static let mostTools = 256

    var tools: [Tool]?
    var toolChoice: Choice?
    var parallelToolCalls: Bool?
    var reasoningFormat: String?
    var reasoningEffort: String?
    var chatTemplateKwargs: Arguments?
    var addGenerationPrompt: Bool?
    var continueFinalMessage: Bool?

    /// Whether there are tools that the model may know of.
    var hasTools: Bool { !(tools ?? []).isEmpty }

    /// - Throws: ``APIError`` naming the field that makes no sense.
    func validate() throws {
        let tools = tools ?? []
        guard tools.count <= Self.mostTools else {
            throw APIError.invalid("\(tools.count) tools: \(Self.mostTools) at most", param: "tools")
        }
        for (index, tool) in tools.enumerated() {
            guard tool.type == "function" else {
                throw APIError.invalid(
                    "a tool of type '\(tool.type.prefix(40))': only functions can be called",
                    param: "tools[\(index)].type")
            }
            let name = tool.function.name
            guard (1...256).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 32 && $0 != 127 }) else {
                throw APIError.invalid(
                    "a function's name has 1 to 256 bytes without spaces", param: "tools[\(index)].function.name")
            }
        }
        guard Set(tools.map(\.function.name)).count == tools.count else {
            throw APIError.invalid("two tools have the same name", param: "tools")
        }
        _ = try choice()
        _ = try reasoning(usual: .auto)
    }

    /// Whether a call is wanted, and of which function, by its number.
    func choice() throws -> (ChatInput.ToolChoice, only: Int?) {
        switch toolChoice {
        case nil: return (.auto, nil)
        case .word(let word)?:
            guard let choice = ChatInput.ToolChoice(rawValue: word) else {
                throw APIError.invalid(
                    "'tool_choice' is '\(word.prefix(40))': auto, none, required or a function is possible",
                    param: "tool_choice")
            }
            guard choice != .required || hasTools else {
                throw APIError.invalid("'tool_choice' is 'required', and there are no tools", param: "tool_choice")
            }
            return (choice, nil)
        case .function(let name)?:
            guard let index = tools?.firstIndex(where: { $0.function.name == name }) else {
                throw APIError.invalid(
                    "'tool_choice' wants the function '\(name.prefix(100))', which is none of the tools",
                    param: "tool_choice")
            }
            return (.required, index)
        }
    }

    /// What becomes of what the model thinks.
    func reasoning(usual: ChatInput.ReasoningFormat) throws -> ChatInput.ReasoningFormat {
        guard let reasoningFormat else { return usual }
        guard let format = ChatInput.ReasoningFormat(rawValue: reasoningFormat) else {
            throw APIError.invalid(
                "'reasoning_format' is '\(reasoningFormat.prefix(40))': none, auto or deepseek is possible",
                param: "reasoning_format")
        }
        return format
    }
}
#endif
