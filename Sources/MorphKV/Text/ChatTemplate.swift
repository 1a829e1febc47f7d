internal import CLlamaCommon
internal import Synchronization

/// A model's chat template, interpreted by llama.cpp's library `common`: conversations with tools, calls and reasoning become
/// prompts, and answers are taken apart again.
///
/// ```swift
/// let template = try ChatTemplate(tokenizer)
/// var input = ChatInput([ChatMessage(role: "user", content: "How is the weather in Bonn?")])
/// input.tools = #"[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]"#
/// let prompt = try template.apply(input)
/// ```
///
/// Models whose template has no tools read them in the system message, and write calls as JSON between `<tool_call>` and
/// `</tool_call>`.
public final class ChatTemplate: Sendable {
    /// What a template is and can.
    struct Description: Decodable, Sendable {
        let source: String
        let reasons: Bool
        let tools: Bool
        let stops: [String]
        let capabilities: [String: Bool]
    }

    /// The most bytes of a conversation's tools, schema and arguments together.
    static let mostBytes = 1 << 20

    private let handle: Mutex<ChatTemplateHandle>
    private let description: Description

    /// Whether templates can be interpreted: a copy of llama.cpp without its library `common` cannot.
    public static var isAvailable: Bool { llama_common_is_available() }

    /// Reads a template.
    ///
    /// - Parameters:
    ///   - tokenizer: the model's.
    ///   - source: the template, in Jinja; the model's own if nil.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if there is none or it makes no sense.
    public init(_ tokenizer: Tokenizer, source: String? = nil) throws {
        let (handle, description) = try LargeStack.run {
            let handle = try tokenizer.openTemplate(source)
            return (handle, try handle.description())
        }
        self.handle = Mutex(handle)
        self.description = description
    }

    /// The template, in Jinja.
    public var source: String { description.source }

    /// Whether the model thinks before it answers.
    public var reasons: Bool { description.reasons }

    /// Whether the template has tools itself.
    public var hasTools: Bool { description.tools }

    /// Texts that end an answer, besides the model's own end.
    public var stops: [String] { description.stops }

    /// What llama.cpp found out about it, such as `supports_system_role`.
    public var capabilities: [String: Bool] { description.capabilities }

    /// Puts a conversation into the template.
    ///
    /// Names of control tokens in messages, tools and arguments stay text: nothing in them ends a message or begins another.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template refuses the conversation, with its reason.
    public func apply(_ input: ChatInput) throws -> ChatPrompt {
        try Self.check(input)
        let texts = try ChatInputTexts(input)
        let json = try handle.withLock { locked in
            let handle = locked
            return try LargeStack.run { try handle.apply(texts) }
        }
        return try ChatPrompt(json: json)
    }

    /// Refuses what would take too much memory or stack: all of it is read by recursion.
    private static func check(_ input: ChatInput) throws {
        let texts = [input.tools, input.jsonSchema, input.templateArguments].compactMap(\.self)
        guard texts.reduce(0, { $0 + $1.utf8.count }) <= mostBytes else {
            throw ModelError(.chatTemplate, "tools and schema have more than \(mostBytes) bytes")
        }
        let arguments = input.messages.flatMap { $0.toolCalls ?? [] }.map(\.function.arguments)
        guard (texts + arguments).allSatisfy({ Nesting.depth(of: $0.utf8) <= Grammar.mostDepth }) else {
            throw ModelError(.chatTemplate, "tools or arguments are nested more than \(Grammar.mostDepth) deep")
        }
    }
}
