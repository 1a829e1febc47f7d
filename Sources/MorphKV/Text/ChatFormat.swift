/// Turns a conversation into the tokens that a model expects.
///
/// Templates are interpreted, or recognised by libllama where there is no interpreter. Models whose file has none that can be
/// used get a plain one:
///
///     System: ...
///
///     User: ...
///
///     Assistant:
public struct ChatFormat: Sendable {
    let tokenizer: Tokenizer
    /// The template that is interpreted, for conversations with tools; nil if there is none.
    public let template: ChatTemplate?
    /// Whether a template is used.
    public let usesTemplate: Bool

    /// The format of a model's conversations.
    ///
    /// - Parameters:
    ///   - tokenizer: that of the model.
    ///   - template: one to use instead of the model's own.
    public init(_ tokenizer: Tokenizer, template: ChatTemplate? = nil) {
        self.tokenizer = tokenizer
        self.template = template ?? tokenizer.jinjaTemplate
        usesTemplate =
            self.template != nil || (try? tokenizer.applyChatTemplate([.init(role: "user", content: "x")])) != nil
    }

    /// Texts that end an answer besides the model's own end of text.
    public var stops: [String] { usesTemplate ? template?.stops ?? [] : ["\nUser:", "\nSystem:"] }

    /// The tokens of a conversation, ending where the assistant's answer begins.
    ///
    /// Names of special tokens inside a message stay text: a message cannot end itself and begin another.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to these messages.
    public func tokens(_ messages: [Tokenizer.Message]) throws -> [Token] {
        try tokens(messages, isBehindContext: false, answers: true)
    }

    /// The tokens of a conversation behind a context, which is the beginning of its first message.
    ///
    /// A single message gives what ``ContextFrame/framed(_:)`` gives. Models without a template see the context as a text
    /// before the conversation.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to these messages.
    public func tokensBehindContext(_ messages: [Tokenizer.Message]) throws -> [Token] {
        try tokens(messages, isBehindContext: true, answers: true)
    }

    /// Where successive messages lie among a conversation's tokens, with what the template puts around them: from where
    /// the message before them ends to where the last of them ends.
    ///
    /// A token that messages on both sides of a border have a part in counts to the later one.
    ///
    /// - Parameters:
    ///   - part: the messages, by their numbers.
    ///   - tokens: those of the whole conversation, as ``tokens(_:)`` or ``tokensBehindContext(_:)`` gave them.
    ///   - messages: the whole conversation.
    ///   - isBehindContext: whether it was the latter.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to the conversation's beginning.
    public func range(
        of part: Range<Int>, in tokens: [Token], of messages: [Tokenizer.Message], isBehindContext: Bool = false
    ) throws -> Range<Int> {
        if template != nil {
            return try range(
                of: part, in: tokens, of: ChatInput(messages.map(ChatMessage.init)), isBehindContext: isBehindContext)
        }
        return try Self.range(of: part, in: tokens) { count in
            try self.tokens(Array(messages.prefix(count)), isBehindContext: isBehindContext, answers: false)
        }
    }

    /// - Parameter beginning: the tokens of a conversation's first messages.
    static func range(
        of part: Range<Int>, in tokens: [Token], beginning: (Int) throws -> [Token]
    ) throws -> Range<Int> {
        func end(_ count: Int) throws -> Int {
            guard count > 0 else { return 0 }
            return zip(try beginning(count), tokens).prefix { $0 == $1 }.count
        }
        let start = try end(part.lowerBound)
        return start..<max(start, try end(part.upperBound))
    }

    /// - Parameter answers: whether the tokens end where the assistant's answer begins, else where the last message ends.
    private func tokens(
        _ messages: [Tokenizer.Message], isBehindContext: Bool, answers: Bool
    ) throws -> [Token] {
        guard usesTemplate else {
            let text = (isBehindContext ? "\n\n" : "") + Self.plain(messages, answers: answers)
            return encode(text[...], messages, isStart: !isBehindContext)
        }
        if template != nil {
            var input = ChatInput(messages.map(ChatMessage.init))
            input.addsGenerationPrompt = answers
            input.isTextOnly = true
            return tokens(of: try prompt(input, isBehindContext: isBehindContext), isBehindContext: isBehindContext)
        }
        guard isBehindContext, var first = messages.first else {
            let text = try tokenizer.applyChatTemplate(messages, addAssistant: answers)
            return encode(text[...], messages, isStart: true)
        }
        let context = "<<context>>"
        first.content = context + "\n\n" + first.content
        let parts = try tokenizer.chatParts(
            [first] + messages.dropFirst(), addAssistant: answers, around: context)
        return encode(parts[1][...], messages, isStart: false)
    }

    func encode(_ text: Substring, _ messages: [Tokenizer.Message], isStart: Bool) -> [Token] {
        let hostile = messages.map(\.content).filter(namesSpecialTokens)
        guard !hostile.isEmpty else {
            return tokenizer.encode(String(text), addSpecial: isStart, parseSpecial: true)
        }
        var tokens = isStart ? tokenizer.beginOfText.map { [$0] } ?? [] : []
        var rest = text
        for content in hostile {
            // Templates copy a message as it is or without the white space around it.
            let trimmed = content.trimmingWhitespace
            guard let range = rest.firstRange(of: trimmed) else { continue }
            tokens += tokenizer.encode(String(rest[..<range.lowerBound]), addSpecial: false, parseSpecial: true)
            tokens += tokenizer.encode(String(trimmed), addSpecial: false, parseSpecial: false)
            rest = rest[range.upperBound...]
        }
        return tokens + tokenizer.encode(String(rest), addSpecial: false, parseSpecial: true)
    }

    private func namesSpecialTokens(_ content: String) -> Bool {
        tokenizer.encode(content, addSpecial: false, parseSpecial: true)
            != tokenizer.encode(content, addSpecial: false, parseSpecial: false)
    }

    private static func plain(_ messages: [Tokenizer.Message], answers: Bool) -> String {
        let names = ["system": "System", "assistant": "Assistant"]
        return messages.map { "\(names[$0.role] ?? "User"): \($0.content)\n\n" }.joined()
            + (answers ? "Assistant:" : "")
    }
}

extension StringProtocol {
    fileprivate var trimmingWhitespace: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[startIndex..<startIndex] }
        return self[first...last]
    }
}
