/// Turns a conversation into the tokens that a model expects.
///
/// Models whose file has no chat template, or one that libllama does not know, get a plain one:
///
///     System: ...
///
///     User: ...
///
///     Assistant:
public struct ChatFormat: Sendable {
    private let tokenizer: Tokenizer
    /// Whether the model's own template is used.
    public let usesTemplate: Bool

    /// The format of a model's conversations.
    public init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        usesTemplate = (try? tokenizer.applyChatTemplate([.init(role: "user", content: "x")])) != nil
    }

    /// Texts that end an answer besides the model's own end of text.
    public var stops: [String] { usesTemplate ? [] : ["\nUser:", "\nSystem:"] }

    /// The tokens of a conversation, ending where the assistant's answer begins.
    ///
    /// Names of special tokens inside a message stay text: a message cannot end itself and begin another.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to these messages.
    public func tokens(_ messages: [Tokenizer.Message]) throws -> [Token] {
        let text = try usesTemplate ? tokenizer.applyChatTemplate(messages) : Self.plain(messages)
        return encode(text[...], messages, isStart: true)
    }

    /// The tokens of a conversation behind a context, which is the beginning of its first message.
    ///
    /// A single message gives what ``ContextFrame/framed(_:)`` gives. Models without a template see the context as a text
    /// before the conversation.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to these messages.
    public func tokensBehindContext(_ messages: [Tokenizer.Message]) throws -> [Token] {
        guard usesTemplate, var first = messages.first else {
            return encode(("\n\n" + Self.plain(messages))[...], messages, isStart: false)
        }
        let context = "<<context>>"
        first.content = context + "\n\n" + first.content
        let parts = try tokenizer.chatParts([first] + messages.dropFirst(), around: context)
        return encode(parts[1][...], messages, isStart: false)
    }

    private func encode(_ text: Substring, _ messages: [Tokenizer.Message], isStart: Bool) -> [Token] {
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

    private static func plain(_ messages: [Tokenizer.Message]) -> String {
        let names = ["system": "System", "assistant": "Assistant"]
        return messages.map { "\(names[$0.role] ?? "User"): \($0.content)\n\n" }.joined() + "Assistant:"
    }
}

extension StringProtocol {
    fileprivate var trimmingWhitespace: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[startIndex..<startIndex] }
        return self[first...last]
    }
}
