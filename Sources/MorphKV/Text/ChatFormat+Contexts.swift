extension ChatFormat {
    /// The tokens before a context that is the beginning of a chat: what the template puts before the text of the first
    /// message, the system message included.
    ///
    /// Names of special tokens inside the system message stay text.
    ///
    /// - Parameter system: the system message; none if nil.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the model has no template, or it changes what it frames.
    public func tokensBeforeContext(system: String? = nil) throws -> [Token] {
        let context = "<<context>>"
        let before = system.map { [Tokenizer.Message(role: "system", content: $0)] } ?? []
        let messages = before + [Tokenizer.Message(role: "user", content: "\(context)\n\n<<question>>")]
        guard !(system ?? "").contains(context) else {
            throw ModelError(.chatTemplate, "a system message before a context cannot contain '\(context)'")
        }
        if let template {
            var input = ChatInput(messages.map(ChatMessage.init))
            input.isTextOnly = true
            return tokens(of: try template.apply(input).before(context))
        }
        let parts = try tokenizer.chatParts(messages, around: context)
        return encode(parts[0][...], before, isStart: true)
    }
}
