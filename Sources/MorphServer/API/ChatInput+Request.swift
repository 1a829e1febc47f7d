#if Server
internal import MorphKV
internal import NIOCore

extension ChatRequest {
    /// Whether the answer is to go on with the last message.
    func continuesLastMessage() throws -> Bool {
        let asked = toolFields.continueFinalMessage
        guard asked != true || toolFields.addGenerationPrompt != true else {
            throw APIError.invalid(
                "'add_generation_prompt' and 'continue_final_message' do not go together",
                param: "continue_final_message")
        }
        let isAssistant = messages.last?.role == "assistant"
        guard asked != true || isAssistant else {
            throw APIError.invalid(
                "'continue_final_message' needs a last message of the assistant", param: "continue_final_message")
        }
        guard asked ?? isAssistant, (messages.last?.toolCalls ?? []).isEmpty else {
            guard asked != true else {
                throw APIError.invalid("a message with calls cannot be gone on with", param: "continue_final_message")
            }
            return false
        }
        guard messages.dropLast().last?.role != "assistant" else {
            throw APIError.invalid("the last two messages are the assistant's", param: "messages")
        }
        return true
    }

    /// The conversation as a chat template takes it.
    ///
    /// - Parameters:
    ///   - conversation: its texts.
    ///   - body: the request as it came, since the order of a schema's members matters.
    ///   - usual: what becomes of what the model thinks if the request does not say.
    ///   - thinks: whether it thinks if the request does not say.
    /// - Throws: ``APIError`` naming what makes no sense.
    func input(
        _ conversation: [Tokenizer.Message], in body: ByteBuffer, usual: ChatInput.ReasoningFormat, thinks: Bool
    ) throws -> ChatInput {
        let raw = RawJSON(body.readableBytesView)
        let parts = try messages.contains(where: Self.hasObjects) ? raw.items("messages") : []
        var input = ChatInput(
            try zip(conversation, messages).enumerated().map { index, pair in
                try message(pair.0, pair.1, "messages[\(index)]") { try parts[index].items("tool_calls") }
            })
        let (choice, only) = try toolFields.choice()
        input.toolChoice = choice
        input.tools = try tools(only: only, raw)
        input.parallelToolCalls = toolFields.parallelToolCalls
        input.reasoningFormat = try toolFields.reasoning(usual: usual)
        input.addsGenerationPrompt = toolFields.addGenerationPrompt ?? true
        input.continuesLastMessage = try continuesLastMessage()
        let usuallyThinks = toolFields.reasoningEffort.map { $0 != "none" } ?? thinks
        input.enableThinking = toolFields.chatTemplateKwargs?.enableThinking ?? usuallyThinks
        input.templateArguments = try templateArguments(raw)
        return input
    }

    /// The variables of the template, the effort among them, which is a field of its own in OpenAI's interface.
    private func templateArguments(_ raw: RawJSON) throws -> String? {
        let given = try toolFields.chatTemplateKwargs.map { _ in try raw.member("chat_template_kwargs").text }
        guard toolFields.reasoningEffort ?? "none" != "none" else { return given }
        let effort = "{\"reasoning_effort\":" + (try raw.member("reasoning_effort").text)
        guard let given, given != "{}" else { return effort + "}" }
        return effort + "," + given.dropFirst()
    }

    /// The tools in the order in which they came, or one of them.
    private func tools(only: Int?, _ raw: RawJSON) throws -> String? {
        guard toolFields.hasTools else { return nil }
        let parts = try raw.items("tools")
        for (index, tool) in (toolFields.tools ?? []).enumerated()
        where tool.function.strict == true && tool.function.parameters != nil {
            let schema = try parts[index].member("function", "parameters").text
            do { _ = try Grammar(jsonSchema: schema) } catch let error as GenerationError {
                throw APIError.invalid(error.description, param: "tools[\(index)].function.parameters")
            }
        }
        let wanted = only.map { [parts[$0]] } ?? parts
        return "[" + wanted.map(\.text).joined(separator: ",") + "]"
    }

    /// Whether arguments of a message's calls are objects.
    private static func hasObjects(_ message: Message) -> Bool {
        (message.toolCalls ?? []).contains { $0.function.arguments?.text == nil }
    }

    /// - Parameter parts: its calls as they came.
    private func message(
        _ text: Tokenizer.Message, _ message: Message, _ name: String, _ parts: () throws -> [RawJSON]
    ) throws -> ChatMessage {
        var result = ChatMessage(
            role: text.role, content: text.content, reasoningContent: message.reasoningContent,
            toolCallID: message.toolCallId, name: message.name)
        let parts = try Self.hasObjects(message) ? parts() : []
        let calls = try (message.toolCalls ?? []).enumerated().map { index, call in
            guard call.type ?? "function" == "function" else {
                throw APIError.invalid(
                    "a call of type '\((call.type ?? "").prefix(40))': only functions can be called",
                    param: "\(name).tool_calls[\(index)].type")
            }
            // As text it is what it is; as an object it is taken from the body, where its members have an order.
            let arguments =
                try call.function.arguments?.text ?? parts[index].member("function", "arguments").text
            return ChatMessage.ToolCall(
                id: call.id ?? "", function: .init(name: call.function.name, arguments: arguments))
        }
        if !calls.isEmpty { result.toolCalls = calls }
        return result
    }
}
#endif
