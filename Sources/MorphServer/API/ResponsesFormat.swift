#if Server
internal import MorphKV

/// Answers of OpenAI's `/v1/responses`.
struct ResponsesFormat: EventFormat {
    private let model: String
    private let created: Int
    /// Whether parts say what took how long.
    private let hasTimings: Bool
    private let id: String
    /// The number of the next event.
    private var number = 0
    /// The item that is being written; nil before the first and where one has ended.
    private var item: Item?
    /// The items that are written.
    private var output: [JSONValue] = []

    /// A message, a call, or what the model thought, as far as it is written.
    private struct Item {
        enum Kind: Equatable {
            case message
            case reasoning
            case call(Int, id: String, name: String)
        }

        let kind: Kind
        let id: String
        var text = ""
    }

    init(id: String, model: String, created: Int, hasTimings: Bool) {
        (self.id, self.model, self.created, self.hasTimings) = (id, model, created, hasTimings)
    }

    func whole(_ message: ChatMessage, _ end: ServingPiece.End) -> JSONValue {
        var items: [Item] = []
        func add(_ kind: Item.Kind, _ text: String) {
            items.append(Item(kind: kind, id: Self.id(kind, id, items.count), text: text))
        }
        if let thought = message.reasoningContent { add(.reasoning, thought) }
        let calls = message.toolCalls ?? []
        if let text = message.content ?? (calls.isEmpty ? "" : nil) { add(.message, text) }
        for (index, call) in calls.enumerated() {
            add(.call(index, id: call.id, name: call.function.name), call.function.arguments)
        }
        let status = Self.status(end)
        return object(status, items.map { Self.object($0, status) }, end)
    }

    // MARK: As events

    mutating func begin(_ first: ServingPiece) -> [NamedEvent] {
        let response = object("in_progress", [], nil)
        return [
            event("response.created", ["response": response]), event("response.in_progress", ["response": response]),
        ]
    }

    mutating func progress(_ progress: ServingPiece.Progress, _ timings: ServingTimings) -> [NamedEvent] {
        let members: [String: JSONValue] = [
            "response": object("in_progress", [], nil), "prompt_progress": PromptProgress(progress, timings).json,
        ]
        return [event("response.in_progress", members)]
    }

    mutating func part(_ delta: ChatParser.Delta, _ timings: ServingTimings) -> [NamedEvent] {
        switch delta {
        case .content(let text): return open(.message) + write(text, "response.output_text.delta", timings)
        case .reasoning(let text): return open(.reasoning) + write(text, "response.reasoning_text.delta", timings)
        case .call(let index, let id, let name): return open(.call(index, id: id, name: name))
        case .arguments(_, let text): return write(text, "response.function_call_arguments.delta", timings)
        }
    }

    private mutating func write(_ text: String, _ name: String, _ timings: ServingTimings) -> [NamedEvent] {
        item?.text += text
        var members = place
        members["delta"] = .string(text)
        if item?.kind == .message { members["logprobs"] = [] }
        if hasTimings { members["timings"] = Timings(timings).json }
        return [event(name, members)]
    }

    /// Ends the item that is being written if it is another one, and begins one.
    private mutating func open(_ kind: Item.Kind) -> [NamedEvent] {
        guard item?.kind != kind else { return [] }
        let closing = close("completed")
        let new = Item(kind: kind, id: Self.id(kind, id, output.count))
        item = new
        var added = [
            event(
                "response.output_item.added",
                ["output_index": .int(output.count), "item": Self.object(new, "in_progress", isEmpty: true)])
        ]
        if kind == .message {
            var part = place
            part["part"] = Self.content("")
            added.append(event("response.content_part.added", part))
        }
        return closing + added
    }

    private mutating func close(_ status: String) -> [NamedEvent] {
        guard let done = item else { return [] }
        var members = place
        var events: [NamedEvent] = []
        switch done.kind {
        case .message:
            members["text"] = .string(done.text)
            members["logprobs"] = []
            var part = place
            part["part"] = Self.content(done.text)
            events = [event("response.output_text.done", members), event("response.content_part.done", part)]
        case .reasoning:
            members["text"] = .string(done.text)
            events = [event("response.reasoning_text.done", members)]
        case .call:
            members["arguments"] = .string(done.text)
            events = [event("response.function_call_arguments.done", members)]
        }
        let whole = Self.object(done, status)
        events.append(event("response.output_item.done", ["output_index": .int(output.count), "item": whole]))
        output.append(whole)
        item = nil
        return events
    }

    mutating func finish(_ message: ChatMessage, _ end: ServingPiece.End) -> [NamedEvent] {
        let opening = item == nil && output.isEmpty ? open(.message) : []
        let status = Self.status(end)
        let closing = close(status)
        let members: [String: JSONValue] = [
            "response": object(status, output, end), "timings": Timings(end.timings).json,
        ]
        return opening + closing + [event("response.\(status)", members)]
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
        var members: [String: JSONValue] = ["item_id": .string(item?.id ?? ""), "output_index": .int(output.count)]
        if item?.kind == .message || item?.kind == .reasoning { members["content_index"] = 0 }
        return members
    }

    private mutating func event(_ name: String, _ members: [String: JSONValue]) -> NamedEvent {
        defer { number += 1 }
        var members = members
        members["type"] = .string(name)
        members["sequence_number"] = .int(number)
        return (name, .object(members))
    }

    private static func id(_ kind: Item.Kind, _ id: String, _ index: Int) -> String {
        let prefix =
            switch kind {
            case .message: "msg"
            case .reasoning: "rs"
            case .call: "fc"
            }
        return "\(prefix)_\(id)" + (index == 0 ? "" : "\(index)")
    }

    private static func content(_ text: String) -> JSONValue {
        ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
    }

    /// - Parameter isEmpty: whether nothing of it is written yet.
    private static func object(_ item: Item, _ status: String, isEmpty: Bool = false) -> JSONValue {
        var members: [String: JSONValue] = ["id": .string(item.id), "status": .string(status)]
        switch item.kind {
        case .message:
            members["type"] = "message"
            members["role"] = "assistant"
            members["content"] = isEmpty ? [] : [content(item.text)]
        case .reasoning:
            members["type"] = "reasoning"
            members["summary"] = []
            members["content"] = isEmpty ? [] : [["type": "reasoning_text", "text": .string(item.text)]]
        case .call(_, let id, let name):
            members["type"] = "function_call"
            members["call_id"] = .string(id)
            members["name"] = .string(name)
            members["arguments"] = .string(item.text)
        }
        return .object(members)
    }

    private func object(_ status: String, _ output: [JSONValue], _ end: ServingPiece.End?) -> JSONValue {
        let isCut = status == "incomplete"
        return [
            "id": .string("resp_" + id), "object": "response", "created_at": .int(created), "status": .string(status),
            "model": .string(model), "output": .array(output), "error": .null, "instructions": .null,
            "incomplete_details": isCut ? ["reason": "max_output_tokens"] : .null, "metadata": [:],
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": end.map(Self.usage) ?? .null,
        ]
    }

    private static func usage(_ end: ServingPiece.End) -> JSONValue {
        [
            "input_tokens": .int(end.promptTokens), "output_tokens": .int(end.tokens),
            "total_tokens": .int(end.promptTokens + end.tokens),
            "input_tokens_details": ["cached_tokens": .int(end.cachedTokens)],
            "output_tokens_details": ["reasoning_tokens": 0],
        ]
    }
}
#endif
