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
        var input = ChatInput(
            try zip(conversation, messages).enumerated().map { index, pair in
                try message(pair.0, pair.1, "messages[\(index)]", ["messages", "\(index)"], body)
            })
        let (choice, only) = try toolFields.choice()
        input.toolChoice = choice
        input.tools = try tools(only: only, body)
        input.parallelToolCalls = toolFields.parallelToolCalls
        input.reasoningFormat = try toolFields.reasoning(usual: usual)
        input.addsGenerationPrompt = toolFields.addGenerationPrompt ?? true
        input.continuesLastMessage = try continuesLastMessage()
        let usuallyThinks = toolFields.reasoningEffort.map { $0 != "none" } ?? thinks
        input.enableThinking = toolFields.chatTemplateKwargs?.enableThinking ?? usuallyThinks
        input.templateArguments = try templateArguments(body)
        return input
    }

    /// The variables of the template, the effort among them, which is a field of its own in OpenAI's interface.
    private func templateArguments(_ body: ByteBuffer) throws -> String? {
        let given = try toolFields.chatTemplateKwargs.map { _ in try Self.member(["chat_template_kwargs"], of: body) }
        guard toolFields.reasoningEffort ?? "none" != "none" else { return given }
        let effort = "{\"reasoning_effort\":" + (try Self.member(["reasoning_effort"], of: body))
        guard let given, given != "{}" else { return effort + "}" }
        return effort + "," + given.dropFirst()
    }

    /// The tools in the order in which they came, or one of them.
    private func tools(only: Int?, _ body: ByteBuffer) throws -> String? {
        guard toolFields.hasTools else { return nil }
        for (index, tool) in (toolFields.tools ?? []).enumerated()
        where tool.function.strict == true && tool.function.parameters != nil {
            let schema = try Self.member(["tools", "\(index)", "function", "parameters"], of: body)
            do { _ = try Grammar(jsonSchema: schema) } catch let error as GenerationError {
                throw APIError.invalid(error.description, param: "tools[\(index)].function.parameters")
            }
        }
        guard let only else { return try Self.member(["tools"], of: body) }
        return "[" + (try Self.member(["tools", "\(only)"], of: body)) + "]"
    }

    private func message(
        _ text: Tokenizer.Message, _ message: Message, _ name: String, _ path: [String], _ body: ByteBuffer
    ) throws -> ChatMessage {
        var result = ChatMessage(
            role: text.role, content: text.content, reasoningContent: message.reasoningContent,
            toolCallID: message.toolCallId, name: message.name)
        let calls = try (message.toolCalls ?? []).enumerated().map { index, call in
            guard call.type ?? "function" == "function" else {
                throw APIError.invalid(
                    "a call of type '\((call.type ?? "").prefix(40))': only functions can be called",
                    param: "\(name).tool_calls[\(index)].type")
            }
            // As text it is what it is; as an object it is taken from the body, where its members have an order.
            let arguments =
                try call.function.arguments?.text
                ?? Self.member(path + ["tool_calls", "\(index)", "function", "arguments"], of: body)
            return ChatMessage.ToolCall(
                id: call.id ?? "", function: .init(name: call.function.name, arguments: arguments))
        }
        if !calls.isEmpty { result.toolCalls = calls }
        return result
    }

    private static func member(_ path: [String], of body: ByteBuffer) throws -> String {
        do {
            return try OrderedJSON.member(of: body.readableBytesView, at: path)
        } catch let error as GenerationError {
            throw APIError.invalid(error.description, param: path[0])
        }
    }
}
#endif
