#if Server
internal import MorphKV

/// Answers of OpenAI's `/v1/responses`.
struct ResponsesFormat: EventFormat {
    let model: String
    let created: Int
    /// Whether parts say what took how long.
    let hasTimings: Bool
    private let response: String
    private let item: String
    private var number = 0
    private var text = ""
    private var isOpen = false

    init(id: String, model: String, created: Int, hasTimings: Bool) {
        (response, item) = ("resp_" + id, "msg_" + id)
        (self.model, self.created, self.hasTimings) = (model, created, hasTimings)
    }

    mutating func begin(_ first: ServingPiece) -> [NamedEvent] {
        let response = object("in_progress", [], nil)
        return [event("response.created", ["response": response]), event("response.in_progress", ["response": response])]
    }

    mutating func part(_ piece: ServingPiece) -> [NamedEvent] {
        if let progress = piece.progress {
            return [
                event(
                    "response.in_progress",
                    [
                        "response": object("in_progress", [], nil),
                        "prompt_progress": PromptProgress(progress, piece.timings).json,
                    ])
            ]
        }
        guard !piece.text.isEmpty else { return [] }
        text += piece.text
        var members = place
        members["delta"] = .string(piece.text)
        members["logprobs"] = []
        if hasTimings { members["timings"] = Timings(piece.timings).json }
        return open() + [event("response.output_text.delta", members)]
    }

    private mutating func open() -> [NamedEvent] {
        guard !isOpen else { return [] }
        isOpen = true
        var part = place
        part["part"] = content("")
        return [
            event("response.output_item.added", ["output_index": 0, "item": message("in_progress", [])]),
            event("response.content_part.added", part),
        ]
    }

    mutating func finish(_ end: ServingPiece.End) -> [NamedEvent] {
        let opening = open()
        let status = Self.status(end)
        var (whole, part) = (place, place)
        whole["text"] = .string(text)
        whole["logprobs"] = []
        part["part"] = content(text)
        let item = message(status, [content(text)])
        var last: [String: JSONValue] = ["response": object(status, [item], end)]
        last["timings"] = Timings(end.timings).json
        return opening + [
            event("response.output_text.done", whole), event("response.content_part.done", part),
            event("response.output_item.done", ["output_index": 0, "item": item]),
            event(status == "completed" ? "response.completed" : "response.incomplete", last),
        ]
    }

    mutating func whole(_ text: String, _ end: ServingPiece.End) -> JSONValue {
        let status = Self.status(end)
        return object(status, [message(status, [content(text)])], end)
    }

    func failure(_ error: APIError) -> NamedEvent {
        (
            "error",
            [
                "type": "error", "code": .string(error.code ?? error.type), "message": .string(error.message),
                "param": .null, "sequence_number": .int(number),
            ]
        )
    }

    // MARK: Parts of it

    private static func status(_ end: ServingPiece.End) -> String { end.reason == .length ? "incomplete" : "completed" }

    private var place: [String: JSONValue] {
        ["item_id": .string(item), "output_index": 0, "content_index": 0]
    }

    private mutating func event(_ name: String, _ members: [String: JSONValue]) -> NamedEvent {
        defer { number += 1 }
        var members = members
        members["type"] = .string(name)
        members["sequence_number"] = .int(number)
        return (name, .object(members))
    }

    private func content(_ text: String) -> JSONValue {
        ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
    }

    private func message(_ status: String, _ content: [JSONValue]) -> JSONValue {
        [
            "type": "message", "id": .string(item), "status": .string(status), "role": "assistant",
            "content": .array(content),
        ]
    }

    private func object(_ status: String, _ output: [JSONValue], _ end: ServingPiece.End?) -> JSONValue {
        let isCut = status == "incomplete"
        return [
            "id": .string(response), "object": "response", "created_at": .int(created), "status": .string(status),
            "model": .string(model), "output": .array(output), "error": .null, "instructions": .null,
            "incomplete_details": isCut ? ["reason": "max_output_tokens"] : .null, "metadata": [:],
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
            "usage": end.map { end in
                [
                    "input_tokens": .int(end.promptTokens), "output_tokens": .int(end.tokens),
                    "total_tokens": .int(end.promptTokens + end.tokens),
                    "input_tokens_details": ["cached_tokens": .int(end.cachedTokens)],
                    "output_tokens_details": ["reasoning_tokens": 0],
                ]
            } ?? .null,
        ]
    }
}
#endif
