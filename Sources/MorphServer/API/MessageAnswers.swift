#if Server
internal import MorphKV

/// Answers of `/v1/chat/completions` that are taken apart: what is said, what the model thought, and the calls that it asks for.
struct MessageAnswers: AnswerFormat {
    let hasLogprobs: Bool
    /// One per answer.
    let parsers: [ChatParser]

    var objects: (whole: String, part: String) { ("chat.completion", "chat.completion.chunk") }
    var prefix: String { "chatcmpl" }

    func whole(_ index: Int, text: String, tokens: [ScoredToken], reason: Generation.FinishReason) -> MessageChoice {
        _ = parsers[index].deltas(text, end: reason)
        let message = parsers[index].message
        return MessageChoice(
            index: index, message: .init(message), logprobs: hasLogprobs ? ChatLogprobs(tokens) : nil,
            finishReason: Self.reason(reason, message))
    }

    func opening(_ index: Int) -> MessageDelta? { MessageDelta(index: index, delta: .init(isOpening: true)) }

    func part(_ index: Int, _ piece: ServingPiece, offset: Int) -> MessageDelta {
        let deltas = parsers[index].deltas(piece.text, end: piece.end?.reason)
        return MessageDelta(
            index: index, delta: .init(deltas),
            logprobs: hasLogprobs && !piece.tokens.isEmpty ? ChatLogprobs(piece.tokens) : nil,
            finishReason: piece.end.map { Self.reason($0.reason, parsers[index].message) })
    }

    private static func reason(_ reason: Generation.FinishReason, _ message: ChatMessage) -> String {
        reason == .stop && message.toolCalls != nil ? "tool_calls" : reason.rawValue
    }
}

extension ChatParser {
    /// What a piece of an answer adds; as it is, if there is no memory to take it apart.
    ///
    /// - Parameter end: how the answer ended, behind its last piece.
    func deltas(_ text: String, end: Generation.FinishReason?) -> [Delta] {
        do {
            let deltas = try append(text)
            return try deltas + (end.map { try finish(isCut: $0 != .stop) } ?? [])
        } catch {
            return Self.plain(text)
        }
    }

    /// What a piece of an answer adds that is not taken apart.
    static func plain(_ text: String) -> [Delta] { text.isEmpty ? [] : [.content(text)] }
}

/// One answer of a whole chat response, taken apart.
struct MessageChoice: Encodable, Sendable {
    struct Message: Encodable, Sendable {
        var message: ChatMessage

        init(_ message: ChatMessage) { self.message = message }

        /// `content` is always there; null where there are only calls.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(message.role, forKey: .role)
            try container.encode(message.content ?? (message.toolCalls == nil ? "" : nil), forKey: .content)
            try container.encodeIfPresent(message.reasoningContent, forKey: .reasoningContent)
            try container.encodeIfPresent(message.toolCalls, forKey: .toolCalls)
        }

        private enum CodingKeys: CodingKey { case role, content, reasoningContent, toolCalls }
    }

    var index: Int
    var message: Message
    var logprobs: ChatLogprobs?
    var finishReason: String
}

/// A part of one answer of a streamed chat response, taken apart.
struct MessageDelta: Encodable, Sendable {
    struct Delta: Encodable, Sendable {
        struct Call: Encodable, Sendable {
            struct Function: Encodable, Sendable {
                var name: String?
                var arguments = ""
            }

            var index: Int
            var id: String?
            var type: String?
            var function = Function()
        }

        var isOpening = false
        var content: String?
        var reasoningContent: String?
        var toolCalls: [Call]?

        init(isOpening: Bool) { self.isOpening = isOpening }

        init(_ deltas: [ChatParser.Delta]) {
            for delta in deltas { add(delta) }
        }

        private mutating func add(_ delta: ChatParser.Delta) {
            switch delta {
            case .content(let text): content = (content ?? "") + text
            case .reasoning(let text): reasoningContent = (reasoningContent ?? "") + text
            case .call(let index, let id, let name):
                let call = Call(index: index, id: id, type: "function", function: .init(name: name))
                toolCalls = (toolCalls ?? []) + [call]
            case .arguments(let index, let text):
                var calls = toolCalls ?? []
                if calls.last?.index != index { calls.append(Call(index: index)) }
                calls[calls.count - 1].function.arguments += text
                toolCalls = calls
            }
        }

        /// The opening says who speaks, and that nothing is said yet.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if isOpening {
                try container.encode("assistant", forKey: .role)
                return try container.encodeNil(forKey: .content)
            }
            try container.encodeIfPresent(content, forKey: .content)
            try container.encodeIfPresent(reasoningContent, forKey: .reasoningContent)
            try container.encodeIfPresent(toolCalls, forKey: .toolCalls)
        }

        private enum CodingKeys: CodingKey { case role, content, reasoningContent, toolCalls }
    }

    var index: Int
    var delta: Delta
    var logprobs: ChatLogprobs?
    var finishReason: String?

    /// `finish_reason` is always there, as clients expect.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(index, forKey: .index)
        try container.encode(delta, forKey: .delta)
        try container.encodeIfPresent(logprobs, forKey: .logprobs)
        try container.encode(finishReason, forKey: .finishReason)
    }

    private enum CodingKeys: CodingKey { case index, delta, logprobs, finishReason }
}
#endif
