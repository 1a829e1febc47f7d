#if Server
internal import Foundation
internal import MorphKV

/// Answers of Anthropic's `/v1/messages`.
struct MessagesFormat: EventFormat {
    private let id: String
    private let model: String
    /// The number of the block that is being written, and what it is; nil before the first.
    private var block: (index: Int, type: String)?

    init(id: String, model: String) {
        self.id = "msg_" + id
        self.model = model
    }

    func whole(_ message: ChatMessage, _ end: ServingPiece.End) -> JSONValue {
        var blocks: [JSONValue] = []
        if let thought = message.reasoningContent {
            blocks.append(["type": "thinking", "thinking": .string(thought), "signature": ""])
        }
        let calls = message.toolCalls ?? []
        if let text = message.content ?? (calls.isEmpty ? "" : nil) {
            blocks.append(["type": "text", "text": .string(text)])
        }
        blocks += calls.map { call in
            [
                "type": "tool_use", "id": .string(call.id), "name": .string(call.function.name),
                "input": Self.input(call.function.arguments),
            ]
        }
        return object(blocks, Self.reason(message, end), end.stop, usage(end.timings, tokens: end.tokens))
    }

    /// The arguments of a call with their members in order; none if the answer was cut inside of them.
    private static func input(_ arguments: String) -> JSONValue {
        let isWhole = (try? JSONDecoder().decode([String: AnswerShape.Present].self, from: Data(arguments.utf8))) != nil
        return isWhole ? .raw(arguments) : [:]
    }

    // MARK: As events

    func begin(_ first: ServingPiece) -> [NamedEvent] {
        let usage = usage(first.timings, tokens: 0)
        return [("message_start", ["type": "message_start", "message": object([], nil, nil, usage)])]
    }

    func progress(_ progress: ServingPiece.Progress, _ timings: ServingTimings) -> [NamedEvent] { [] }

    mutating func part(_ delta: ChatParser.Delta, _ timings: ServingTimings) -> [NamedEvent] {
        switch delta {
        case .content(let text):
            return open("text", ["type": "text", "text": ""]) + [piece(["type": "text_delta", "text": .string(text)])]
        case .reasoning(let text):
            return open("thinking", ["type": "thinking", "thinking": ""])
                + [piece(["type": "thinking_delta", "thinking": .string(text)])]
        case .call(let number, let id, let name):
            return open(
                "tool_use \(number)",
                ["type": "tool_use", "id": .string(id), "name": .string(name), "input": [:]])
        case .arguments(_, let text):
            return [piece(["type": "input_json_delta", "partial_json": .string(text)])]
        }
    }

    /// Ends the block that is being written if it is another one, and begins one.
    private mutating func open(_ type: String, _ content: JSONValue) -> [NamedEvent] {
        guard block?.type != type else { return [] }
        let closing = close()
        block = ((block?.index ?? -1) + 1, type)
        return closing + [
            (
                "content_block_start",
                ["type": "content_block_start", "index": .int(block?.index ?? 0), "content_block": content]
            )
        ]
    }

    private func close() -> [NamedEvent] {
        guard let block else { return [] }
        return [("content_block_stop", ["type": "content_block_stop", "index": .int(block.index)])]
    }

    private func piece(_ delta: JSONValue) -> NamedEvent {
        (
            "content_block_delta",
            ["type": "content_block_delta", "index": .int(block?.index ?? 0), "delta": delta]
        )
    }

    mutating func finish(_ message: ChatMessage, _ end: ServingPiece.End) -> [NamedEvent] {
        let opening = block == nil ? open("text", ["type": "text", "text": ""]) : []
        let delta: JSONValue = [
            "type": "message_delta",
            "delta": [
                "stop_reason": Self.reason(message, end), "stop_sequence": end.stop.map(JSONValue.string) ?? .null,
            ],
            "usage": usage(end.timings, tokens: end.tokens),
        ]
        return opening + close() + [("message_delta", delta), ("message_stop", ["type": "message_stop"])]
    }

    func failure(_ error: APIError) -> NamedEvent {
        ("error", ["type": "error", "error": ["type": .string(error.type), "message": .string(error.message)]])
    }

    // MARK: Parts of it

    private func object(_ content: [JSONValue], _ reason: JSONValue?, _ stop: String?, _ usage: JSONValue) -> JSONValue
    {
        [
            "id": .string(id), "type": "message", "role": "assistant", "model": .string(model),
            "content": .array(content), "stop_reason": reason ?? .null,
            "stop_sequence": stop.map(JSONValue.string) ?? .null, "usage": usage,
        ]
    }

    private static func reason(_ message: ChatMessage, _ end: ServingPiece.End) -> JSONValue {
        if end.reason == .length { return "max_tokens" }
        if message.toolCalls != nil { return "tool_use" }
        return end.stop == nil ? "end_turn" : "stop_sequence"
    }

    private func usage(_ timings: ServingTimings, tokens: Int) -> JSONValue {
        [
            "input_tokens": .int(timings.promptTokens), "cache_read_input_tokens": .int(timings.cachedTokens),
            "cache_creation_input_tokens": 0, "output_tokens": .int(tokens),
        ]
    }
}
#endif
