/// One message of a conversation with tools, as OpenAI's interface has it.
public struct ChatMessage: Sendable, Hashable, Codable {
    /// A call of a function, which the model asked for.
    public struct ToolCall: Sendable, Hashable, Codable {
        /// What is called, and with what.
        public struct Function: Sendable, Hashable, Codable {
            /// The name of the function.
            public var name: String
            /// Its arguments, a JSON object.
            public var arguments: String

            /// Creates a function's name and arguments.
            public init(name: String, arguments: String) {
                self.name = name
                self.arguments = arguments
            }
        }

        /// By which the result refers to the call.
        public var id: String
        /// Always "function".
        public private(set) var type = "function"
        /// The function.
        public var function: Function

        /// Creates a call.
        public init(id: String, function: Function) {
            self.id = id
            self.function = function
        }
    }

    /// Who speaks: "system", "user", "assistant" or "tool".
    public var role: String
    /// What is said; nil if there are only calls.
    public var content: String?
    /// What the model thought before it said that.
    public var reasoningContent: String?
    /// The calls that the model asked for.
    public var toolCalls: [ToolCall]?
    /// The call whose result this is.
    public var toolCallID: String?
    /// The function whose result this is.
    public var name: String?

    /// Creates a message.
    public init(
        role: String, content: String?, reasoningContent: String? = nil, toolCalls: [ToolCall]? = nil,
        toolCallID: String? = nil, name: String? = nil
    ) {
        self.role = role
        self.content = content
        self.reasoningContent = reasoningContent
        self.toolCalls = toolCalls
        self.toolCallID = toolCallID
        self.name = name
    }

    /// A message without tools.
    public init(_ message: Tokenizer.Message) { self.init(role: message.role, content: message.content) }

    private enum CodingKeys: String, CodingKey {
        case role, content, name
        case reasoningContent = "reasoning_content"
        case toolCalls = "tool_calls"
        case toolCallID = "tool_call_id"
    }

    /// Writes it as templates expect it: `content` is always there.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(role, forKey: .role)
        try container.encode(content ?? "", forKey: .content)
        try container.encodeIfPresent(reasoningContent, forKey: .reasoningContent)
        try container.encodeIfPresent(toolCalls, forKey: .toolCalls)
        try container.encodeIfPresent(toolCallID, forKey: .toolCallID)
        try container.encodeIfPresent(name, forKey: .name)
    }
}
