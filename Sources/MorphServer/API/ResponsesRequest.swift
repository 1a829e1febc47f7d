#if Server
internal import MorphKV

/// The body of OpenAI's `POST /v1/responses`, as one of `/v1/chat/completions`.
struct ResponsesRequest {
    let body: JSONValue
    /// The same as it came: what depends on the order of members is taken from it.
    let raw: RawJSON

    /// - Throws: ``APIError`` naming the field that is missing, wrong or not supported.
    func chatBody() throws -> JSONValue {
        for field in ["previous_response_id", "conversation", "prompt"] {
            guard body[field] == nil || body[field] == .null else {
                throw APIError.invalid(
                    "'\(field)' is not supported: this server keeps no responses", param: field, code: "unsupported")
            }
        }
        var messages: [JSONValue] = []
        if case .string(let text) = body["instructions"] {
            messages.append(["role": "system", "content": .string(text)])
        }
        switch body["input"] {
        case .string(let text): messages.append(["role": "user", "content": .string(text)])
        case .array(let items): for (index, item) in items.enumerated() { try add(item, index, to: &messages) }
        default: throw APIError.invalid("'input' is missing or has the wrong type", param: "input")
        }
        var chat: [String: JSONValue] = ["messages": .array(messages)]
        for (name, other) in [
            ("model", "model"), ("temperature", "temperature"), ("top_p", "top_p"), ("stream", "stream"),
            ("max_output_tokens", "max_tokens"), ("tool_choice", "tool_choice"), ("truncation", "truncation"),
            ("parallel_tool_calls", "parallel_tool_calls"), ("morphkv", "morphkv"),
            ("return_progress", "return_progress"), ("timings_per_token", "timings_per_token"),
        ] where body[name] != .null { chat[other] = body[name] }
        try addFormat(to: &chat)
        try addTools(to: &chat)
        return .object(chat)
    }

    private func add(_ item: JSONValue, _ index: Int, to messages: inout [JSONValue]) throws {
        let place = "input[\(index)]"
        switch item["type"] {
        case nil, "message":
            guard let role = item["role"] else {
                throw APIError.invalid("'\(place).role' is missing", param: "\(place).role")
            }
            messages.append(["role": role, "content": .string(try text(item["content"], "\(place).content"))])
        case "function_call":
            let call: JSONValue = [
                "id": item["call_id"] ?? "", "type": "function",
                "function": ["name": item["name"] ?? "", "arguments": item["arguments"] ?? "{}"],
            ]
            messages.append(["role": "assistant", "content": "", "tool_calls": [call]])
        case "function_call_output":
            messages.append([
                "role": "tool", "tool_call_id": item["call_id"] ?? "",
                "content": .string(try text(item["output"], "\(place).output")),
            ])
        case "reasoning": break
        default:
            throw APIError.invalid("'\(place).type' is not understood", param: "\(place).type", code: "unsupported")
        }
    }

    private func text(_ content: JSONValue?, _ place: String) throws -> String {
        if case .string(let text) = content { return text }
        guard case .array(let parts) = content else {
            throw APIError.invalid("'\(place)' has the wrong type", param: place)
        }
        return try parts.map { part in
            guard ["input_text", "output_text", "text"].contains(part["type"]), case .string(let text) = part["text"]
            else {
                if ["input_image", "input_audio", "input_file"].contains(part["type"]) {
                    throw APIError.notBuilt("images, audio and files")
                }
                throw APIError.invalid("a part of '\(place)' is not understood", param: place, code: "unsupported")
            }
            return text
        }.joined(separator: "\n")
    }

    private func addFormat(to chat: inout [String: JSONValue]) throws {
        guard let format = body["text"]?["format"], let type = format["type"], type != "text" else { return }
        guard type == "json_schema" else { return chat["response_format"] = ["type": type] }
        let schema = try raw.member("text", "format").member("schema", of: format) ?? [:]
        chat["response_format"] = [
            "type": type, "json_schema": ["name": format["name"] ?? "", "schema": schema],
        ]
    }

    private func addTools(to chat: inout [String: JSONValue]) throws {
        if case .array(let tools) = body["tools"], !tools.isEmpty {
            let parts = try raw.items("tools")
            chat["tools"] = .array(
                try tools.enumerated().map { index, tool in
                    guard tool["type"] == "function", let name = tool["name"] else {
                        throw APIError.invalid(
                            "only tools of type 'function' are there", param: "tools[\(index)]", code: "unsupported")
                    }
                    return [
                        "type": "function",
                        "function": [
                            "name": name, "description": tool["description"] ?? "",
                            "parameters": try parts[index].member("parameters", of: tool) ?? ["type": "object"],
                            "strict": tool["strict"] ?? false,
                        ],
                    ]
                })
        }
        if let choice = body["tool_choice"], case .object = choice {
            chat["tool_choice"] = ["type": "function", "function": ["name": choice["name"] ?? ""]]
        }
    }
}
#endif
