/// A conversation that is to be put into a chat template, and how it is to be answered.
public struct ChatInput: Sendable, Hashable {
    /// Whether the model may call a function.
    public enum ToolChoice: String, Sendable, Hashable {
        /// It may.
        case auto
        /// It may not.
        case none
        /// It has to.
        case required
    }

    /// What becomes of what a model thinks before it answers.
    public enum ReasoningFormat: String, Sendable, Hashable, CaseIterable {
        /// It stays in the answer's text, between the model's marks.
        case none
        /// It is kept apart.
        case auto
        /// The same; the name that clients know.
        case deepseek
    }

    /// The messages.
    public var messages: [ChatMessage]
    /// The functions that the model may call: a JSON array as OpenAI's interface has it. Arguments follow the order in a schema.
    public var tools: String?
    /// Whether the model may call one of them.
    public var toolChoice = ToolChoice.auto
    /// Whether it may call several at once; if the template has that where nil.
    public var parallelToolCalls: Bool?
    /// The JSON schema of an answer that is no call.
    public var jsonSchema: String?
    /// Whether models that think before they answer should.
    public var enableThinking = true
    /// What becomes of what they think.
    public var reasoningFormat = ReasoningFormat.none
    /// More variables of the template: a JSON object.
    public var templateArguments: String?
    /// Whether the text ends where the assistant's answer begins, else where the last message ends.
    public var addsGenerationPrompt = true
    /// Whether the answer goes on with the last message, the assistant's.
    public var continuesLastMessage = false
    /// Whether nothing but the text is wanted, which is much faster with tools.
    var isTextOnly = false

    /// Creates an input without tools.
    public init(_ messages: [ChatMessage]) { self.messages = messages }
}
