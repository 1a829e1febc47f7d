#if Server
internal import MorphKV

/// An event of a stream, with its name.
typealias NamedEvent = (name: String, data: JSONValue)

/// How the answer of a chat is written by an interface of which every event has a name.
protocol EventFormat: Sendable {
    /// What comes before the answer.
    mutating func begin(_ first: ServingPiece) -> [NamedEvent]
    /// A part of the answer that is not its end.
    mutating func part(_ piece: ServingPiece) -> [NamedEvent]
    /// The end of the answer.
    mutating func finish(_ end: ServingPiece.End) -> [NamedEvent]
    /// A whole answer.
    mutating func whole(_ text: String, _ end: ServingPiece.End) -> JSONValue
    /// An error where the answer has begun.
    func failure(_ error: APIError) -> NamedEvent
}

/// Answers of Anthropic's `/v1/messages`.
struct MessagesFormat: EventFormat {
    let id: String
    let model: String
    private var isOpen = false

    init(id: String, model: String) {
        self.id = "msg_" + id
        self.model = model
    }

    mutating func begin(_ first: ServingPiece) -> [NamedEvent] {
        let usage = usage(first.timings, tokens: 0)
        return [("message_start", ["type": "message_start", "message": message([], nil, nil, usage)])]
    }

    mutating func part(_ piece: ServingPiece) -> [NamedEvent] {
        guard !piece.text.isEmpty else { return [] }
        let delta: JSONValue = [
            "type": "content_block_delta", "index": 0, "delta": ["type": "text_delta", "text": .string(piece.text)],
        ]
        return open() + [("content_block_delta", delta)]
    }

    private mutating func open() -> [NamedEvent] {
        guard !isOpen else { return [] }
        isOpen = true
        return [
            (
                "content_block_start",
                ["type": "content_block_start", "index": 0, "content_block": ["type": "text", "text": ""]]
            )
        ]
    }

    mutating func finish(_ end: ServingPiece.End) -> [NamedEvent] {
        let delta: JSONValue = [
            "type": "message_delta",
            "delta": ["stop_reason": Self.reason(end), "stop_sequence": end.stop.map(JSONValue.string) ?? .null],
            "usage": usage(end.timings, tokens: end.tokens),
        ]
        return open() + [
            ("content_block_stop", ["type": "content_block_stop", "index": 0]), ("message_delta", delta),
            ("message_stop", ["type": "message_stop"]),
        ]
    }

    mutating func whole(_ text: String, _ end: ServingPiece.End) -> JSONValue {
        message(
            [["type": "text", "text": .string(text)]], Self.reason(end), end.stop, usage(end.timings, tokens: end.tokens))
    }

    private func message(_ content: [JSONValue], _ reason: JSONValue?, _ stop: String?, _ usage: JSONValue) -> JSONValue {
        [
            "id": .string(id), "type": "message", "role": "assistant", "model": .string(model),
            "content": .array(content), "stop_reason": reason ?? .null,
            "stop_sequence": stop.map(JSONValue.string) ?? .null, "usage": usage,
        ]
    }

    private static func reason(_ end: ServingPiece.End) -> JSONValue {
        end.reason == .length ? "max_tokens" : end.stop == nil ? "end_turn" : "stop_sequence"
    }

    private func usage(_ timings: ServingTimings, tokens: Int) -> JSONValue {
        [
            "input_tokens": .int(timings.promptTokens), "cache_read_input_tokens": .int(timings.cachedTokens),
            "cache_creation_input_tokens": 0, "output_tokens": .int(tokens),
        ]
    }

    func failure(_ error: APIError) -> NamedEvent {
        ("error", ["type": "error", "error": ["type": .string(error.type), "message": .string(error.message)]])
    }
}
#endif
