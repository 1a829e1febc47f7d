extension ChatFormat {
    /// The prompt of a conversation with tools, reasoning, or whatever else a template can have.
    ///
    /// - Parameters:
    ///   - input: the conversation.
    ///   - isBehindContext: whether it follows a context, which is the beginning of its first message.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if there is no ``template``, or it refuses the conversation.
    public func prompt(_ input: ChatInput, isBehindContext: Bool = false) throws -> ChatPrompt {
        guard let template else {
            throw ModelError(.chatTemplate, "the model has no chat template that can be interpreted")
        }
        guard isBehindContext, let first = input.messages.first else { return try template.apply(input) }
        let context = "<<context>>"
        var input = input
        input.messages[0].content = context + "\n\n" + (first.content ?? "")
        return try template.apply(input).after(context)
    }

    /// The tokens of a prompt.
    ///
    /// - Parameters:
    ///   - prompt: what a template made.
    ///   - isBehindContext: whether it follows a context, so that it has no beginning of its own.
    public func tokens(of prompt: ChatPrompt, isBehindContext: Bool = false) -> [Token] {
        tokenizer.encode(prompt, addSpecial: !isBehindContext)
    }

    /// Where successive messages lie among the tokens of a conversation with tools, with what the template puts around them.
    ///
    /// - Parameters:
    ///   - part: the messages, by their numbers.
    ///   - tokens: those of the whole conversation.
    ///   - input: the whole conversation.
    ///   - isBehindContext: whether it follows a context.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied.
    public func range(
        of part: Range<Int>, in tokens: [Token], of input: ChatInput, isBehindContext: Bool = false
    ) throws -> Range<Int> {
        func beginning(_ input: ChatInput) throws -> [Token] {
            var input = input
            input.isTextOnly = true
            input.continuesLastMessage = false
            return self.tokens(
                of: try prompt(input, isBehindContext: isBehindContext), isBehindContext: isBehindContext)
        }
        return try Self.range(of: part, in: tokens) { count in
            var kept = input
            kept.messages = Array(input.messages.prefix(count))
            kept.addsGenerationPrompt = false
            if let tokens = try? beginning(kept) { return tokens }
            // The template takes no conversation that ends there: other messages take the place of those that follow.
            var changed = input
            for index in changed.messages.indices.dropFirst(count) {
                changed.messages[index].content = "?" + (changed.messages[index].content ?? "")
            }
            return try beginning(changed)
        }
    }
}
