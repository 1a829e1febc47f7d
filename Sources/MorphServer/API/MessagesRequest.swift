#if Server
internal import MorphKV

/// The body of Anthropic's `POST /v1/messages`, as one of `/v1/chat/completions`.
struct MessagesRequest {
    let body: JSONValue
    /// The same as it came: what depends on the order of members is taken from it.
    let raw: RawJSON

    /// - Throws: ``APIError`` naming the field that is missing, wrong or not supported.
    func chatBody(counts: Bool = false) throws -> JSONValue {
        guard case .array(let messages) = body["messages"] else {
            throw APIError.invalid("'messages' is missing", param: "messages")
        }
        let parts = try messages.contains(where: Self.hasCalls) ? raw.items("messages") : []
        var chat: [String: JSONValue] = [
            "messages": .array(try system() + messages.enumerated().flatMap { try self.messages($1, $0, raw: parts) })
        ]
        for (name, other) in [
            ("model", "model"), ("temperature", "temperature"), ("top_p", "top_p"), ("top_k", "top_k"),
            ("stream", "stream"), ("stop_sequences", "stop"), ("morphkv", "morphkv"),
        ] { chat[other] = body[name] }
        if !counts {
            guard let tokens = body["max_tokens"] else {
                throw APIError.invalid("'max_tokens' is missing", param: "max_tokens")
            }
            chat["max_tokens"] = tokens
        }
        try addTools(to: &chat)
        return .object(chat)
    }

    private func system() throws -> [JSONValue] {
        switch body["system"] {
        case nil, .null: return []
        case .string(let text): return [["role": "system", "content": .string(text)]]
        case .array(let blocks):
            return [
                [
                    "role": "system",
                    "content": .string(try blocks.map { try text($0, "system") }.joined(separator: "\n")),
                ]
            ]
        default: throw APIError.invalid("'system' has the wrong type", param: "system")
        }
    }

    private func text(_ block: JSONValue, _ place: String) throws -> String {
        guard block["type"] == "text", case .string(let text) = block["text"] else {
            if ["image", "document"].contains(block["type"]) { throw APIError.notBuilt("images and documents") }
            throw APIError.invalid("only blocks of type 'text' are understood here", param: place)
        }
        return text
    }

    /// Whether the model has called a tool in a message.
    private static func hasCalls(_ message: JSONValue) -> Bool {
        guard case .array(let blocks) = message["content"] else { return false }
        return blocks.contains { $0["type"] == "tool_use" }
    }

    /// The messages of a chat that one message stands for: results of tools become messages of their own.
    ///
    /// - Parameter parts: all messages as they came, if any has calls.
    private func messages(_ message: JSONValue, _ index: Int, raw parts: [RawJSON]) throws -> [JSONValue] {
        let place = "messages[\(index)]"
        guard case .string(let role) = message["role"] else {
            throw APIError.invalid("'\(place).role' is missing", param: "\(place).role")
        }
        guard case .array(let blocks) = message["content"] else {
            guard case .string(let text) = message["content"] else {
                throw APIError.invalid("'\(place).content' has the wrong type", param: "\(place).content")
            }
            return [["role": .string(role), "content": .string(text)]]
        }
        let rawBlocks = try Self.hasCalls(message) ? parts[index].items("content") : []
        var (texts, calls, results): ([String], [JSONValue], [JSONValue]) = ([], [], [])
        for (number, block) in blocks.enumerated() {
            switch block["type"] {
            case "tool_use": calls.append(try call(block, rawBlocks[number], place))
            case "tool_result": results.append(try result(block, place))
            case "thinking", "redacted_thinking": continue
            default: texts.append(try text(block, "\(place).content"))
            }
        }
        var own: [String: JSONValue] = ["role": .string(role), "content": .string(texts.joined(separator: "\n"))]
        if !calls.isEmpty { own["tool_calls"] = .array(calls) }
        return results + (texts.isEmpty && calls.isEmpty ? [] : [.object(own)])
    }

    private func call(_ block: JSONValue, _ raw: RawJSON, _ place: String) throws -> JSONValue {
        guard let id = block["id"], let name = block["name"], case .object = block["input"] else {
            throw APIError.invalid("a 'tool_use' needs 'id', 'name' and 'input'", param: "\(place).content")
        }
        return [
            "id": id, "type": "function",
            "function": ["name": name, "arguments": .string(try raw.member("input").text)],
        ]
    }

    private func result(_ block: JSONValue, _ place: String) throws -> JSONValue {
        guard let id = block["tool_use_id"] else {
            throw APIError.invalid("a 'tool_result' needs 'tool_use_id'", param: "\(place).content")
        }
        let content: String =
            switch block["content"] {
            case .string(let text): text
            case .array(let blocks): try blocks.map { try text($0, "\(place).content") }.joined(separator: "\n")
            default: ""
            }
        return ["role": "tool", "tool_call_id": id, "content": .string(content)]
    }

    private func addTools(to chat: inout [String: JSONValue]) throws {
        if case .array(let tools) = body["tools"], !tools.isEmpty {
            let parts = try raw.items("tools")
            chat["tools"] = .array(
                try tools.enumerated().map { index, tool in
                    guard let name = tool["name"] else {
                        throw APIError.invalid("'tools[\(index)].name' is missing", param: "tools[\(index)].name")
                    }
                    return [
                        "type": "function",
                        "function": [
                            "name": name, "description": tool["description"] ?? "",
                            "parameters": try parts[index].member("input_schema", of: tool) ?? ["type": "object"],
                        ],
                    ]
                })
        }
        switch body["tool_choice"]?["type"] {
        case nil: break
        case "any": chat["tool_choice"] = "required"
        case "tool":
            chat["tool_choice"] = ["type": "function", "function": ["name": body["tool_choice"]?["name"] ?? ""]]
        case let type?: chat["tool_choice"] = type
        }
        if body["tool_choice"]?["disable_parallel_tool_use"] == true { chat["parallel_tool_calls"] = false }
    }
}
#endif
