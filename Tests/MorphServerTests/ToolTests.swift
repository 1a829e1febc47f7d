#if Server
import Foundation
import HTTPTypes
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Tools, reasoning and templates over HTTP, on a small trained model.
@Suite(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there")) struct ToolTests {
    /// A function whose arguments are soon written.
    static func tool(_ name: String = "get_weather", _ more: [String: Any] = [:]) -> [String: Any] {
        let parameters: [String: Any] = [
            "type": "object", "required": ["city", "days"], "additionalProperties": false,
            "properties": [
                "city": ["enum": ["Bonn", "Ulm"]], "days": ["type": "integer", "minimum": 1, "maximum": 9],
            ],
        ]
        let function: [String: Any] = ["name": name, "description": "The weather.", "parameters": parameters]
        return ["type": "function", "function": function.merging(more) { $1 }]
    }

    static func run(
        _ template: String, _ body: @escaping @Sendable (ServerClient) async throws -> Void
    ) async throws {
        let source = try ChatTemplates.source(template)
        try await TestServer.run(configure: { $0.chatTemplate = source }) { client, _ in try await body(client) }
    }

    /// Asks with members in a certain order, which the order of a call's arguments depends on.
    private static func ask(_ client: ServerClient, _ body: [String: Any]) async throws -> Reply {
        let data = try JSONSerialization.data(withJSONObject: body, options: .sortedKeys)
        return try await client.post("/v1/chat/completions", raw: String(decoding: data, as: UTF8.self))
    }

    private static func check(_ call: [String: Any]) throws {
        let function = try #require(call["function"] as? [String: Any])
        #expect(function["name"] as? String == "get_weather" && (call["id"] as? String)?.count == 9)
        let text = try #require(function["arguments"] as? String)
        let arguments = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
        #expect(["Bonn", "Ulm"].contains(arguments["city"] as? String) && arguments.count == 2)
        #expect((1...9).contains(arguments["days"] as? Int ?? 0))
    }

    @Test(
        "a call that has to be made is made and keeps to its schema, streamed as whole", arguments: ChatTemplates.files)
    func forced(file: URL) async throws {
        try await Self.run(file.lastPathComponent) { client in
            let body: [String: Any] = [
                "messages": [["role": "user", "content": "Weather?"]], "max_tokens": 300, "temperature": 1, "seed": 7,
                "tools": [Self.tool()], "tool_choice": "required", "parallel_tool_calls": false,
                "chat_template_kwargs": ["enable_thinking": false],
            ]
            let whole = try await Self.ask(client, body)
            let message = try #require(whole.choices.first?["message"] as? [String: Any], "\(whole.body)")
            let calls = try #require(message["tool_calls"] as? [[String: Any]], "\(whole.body)")
            #expect(calls.count == 1 && message["content"] is NSNull, "\(whole.body)")
            #expect(whole.choices[0]["finish_reason"] as? String == "tool_calls")
            try Self.check(calls[0])
            let stream = try await Self.ask(client, body.merging(["stream": true]) { $1 })
            let streamed = try #require(StreamedMessage(stream), "\(stream.body)")
            #expect(streamed.finishReason == "tool_calls" && streamed.content.isEmpty && stream.isDone)
            #expect(streamed.calls.map(\.name) == ["get_weather"] && streamed.calls[0].id.count == 9)
            let function = calls[0]["function"] as? [String: Any]
            #expect(streamed.calls[0].arguments == function?["arguments"] as? String)
        }
    }

    @Test("members follow the order of the schema as it came, in all interfaces")
    func order() async throws {
        try await Self.run("Qwen-Qwen2.5") { client in
            let schema =
                #"{"type":"object","required":["zebra","ant"],"additionalProperties":false,"properties":{"zebra":{"const":1},"ant":{"const":2}}}"#
            let message = #"{"role":"user","content":"Weather?"}"#
            let bodies = [
                (
                    "/v1/messages",
                    #""messages":[\#(message)],"tools":[{"name":"f","input_schema":\#(schema)}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}"#
                ),
                (
                    "/v1/responses",
                    #""input":[\#(message)],"tools":[{"type":"function","name":"f","parameters":\#(schema)}],"tool_choice":"required","parallel_tool_calls":false"#
                ),
                (
                    "/v1/responses",
                    #""input":[\#(message)],"text":{"format":{"type":"json_schema","name":"f","schema":\#(schema)}}"#
                ),
                (
                    "/v1/chat/completions",
                    #""messages":[\#(message)],"tools":[{"type":"function","function":{"name":"f","parameters":\#(schema)}}],"tool_choice":"required","parallel_tool_calls":false"#
                ),
            ]
            for (path, body) in bodies {
                let reply = try await client.post(path, raw: #"{"max_tokens":300,\#(body)}"#)
                // Between the members there may be line breaks and tabs, which the reply writes as letters.
                let text = reply.body.replacing(/\\[nt]/, with: "").filter { !$0.isWhitespace && $0 != "\\" }
                #expect(text.contains(#"{"zebra":1,"ant":2}"#), "\(path): \(reply.body)")
            }
        }
    }

    @Test func oneFunctionCanBeWantedAndNoneCanBe() async throws {
        try await Self.run("Qwen-Qwen2.5") { client in
            let tools = [Self.tool("other"), Self.tool()]
            let named: [String: Any] = ["type": "function", "function": ["name": "get_weather"]]
            let reply = try await client.chat("Weather?", 300, ["tools": tools, "tool_choice": named])
            let calls = (reply.choices.first?["message"] as? [String: Any])?["tool_calls"] as? [[String: Any]]
            try Self.check(try #require(calls?.first, "\(reply.body)"))
            for choice in ["none", "auto"] {
                let free = try await client.chat("Weather?", 10, ["tools": tools, "tool_choice": choice])
                #expect(free.status == 200 && free.text?.isEmpty == false, "\(free.body)")
                #expect(free.choices[0]["finish_reason"] as? String == "length")
            }
        }
    }

    @Test func resultsOfCallsAreRead() async throws {
        try await Self.run("Mistral-Small") { client in
            let call: [String: Any] = [
                "id": "abcDEF123", "type": "function",
                "function": ["name": "get_weather", "arguments": ["city": "Bonn", "days": 3]],
            ]
            let messages: [[String: Any]] = [
                ["role": "user", "content": "Weather?"],
                ["role": "assistant", "content": NSNull(), "tool_calls": [call]],
                ["role": "tool", "tool_call_id": "abcDEF123", "content": "It rains, the tool says."],
            ]
            let body: [String: Any] = ["messages": messages, "tools": [Self.tool()], "max_tokens": 5]
            let reply = try await client.post("/v1/chat/completions", body)
            #expect(reply.status == 200, "\(reply.body)")
            // Without its result the conversation is shorter.
            let shorter = try await client.post(
                "/v1/chat/completions", body.merging(["messages": Array(messages.prefix(1))]) { $1 })
            func tokens(_ reply: Reply) -> Int {
                (reply.json["usage"] as? [String: Any])?["prompt_tokens"] as? Int ?? 0
            }
            #expect(tokens(reply) > tokens(shorter))
        }
    }

    @Test func anAnswerGoesOnWithTheAssistantsLastMessage() async throws {
        try await Self.run("Qwen-Qwen2.5") { client in
            let messages = [
                ["role": "user", "content": "A story"], ["role": "assistant", "content": "Once upon a time"],
            ]
            let reply = try await client.post(
                "/v1/chat/completions", ["messages": messages, "max_tokens": 12, "temperature": 0])
            let tokenizer = try #require(try Model(contentsOf: Fixtures.stories).tokenizer)
            let template = try ChatTemplate(tokenizer, source: ChatTemplates.source("Qwen-Qwen2.5"))
            let prompt = try template.apply(ChatInput([ChatMessage(role: "user", content: "A story")]))
            let same = try await client.complete(prompt.text + "Once upon a time", 12)
            #expect(reply.text == same.text && reply.text?.isEmpty == false, "\(reply.body)")
        }
    }

    @Test func whatIsThoughtIsKeptApart() async throws {
        try await Self.run("Qwen-Qwen3") { client in
            let messages: [[String: Any]] = [
                ["role": "user", "content": "A story"],
                ["role": "assistant", "content": "", "reasoning_content": "Once upon a time"],
            ]
            let body: [String: Any] = ["messages": messages, "max_tokens": 12, "temperature": 0]
            let reply = try await client.post("/v1/chat/completions", body)
            let message = try #require(reply.choices.first?["message"] as? [String: Any], "\(reply.body)")
            let thought = try #require(message["reasoning_content"] as? String, "\(reply.body)")
            #expect(!thought.isEmpty && message["content"] as? String == "")
            let stream = try await client.post("/v1/chat/completions", body.merging(["stream": true]) { $1 })
            #expect(StreamedMessage(stream)?.reasoning == thought, "\(stream.body)")
            let text = try await client.post("/v1/chat/completions", body.merging(["reasoning_format": "none"]) { $1 })
            #expect((text.choices.first?["message"] as? [String: Any])?["reasoning_content"] == nil)
        }
    }

    @Test func aSchemaHoldsBesideReasoning() async throws {
        try await Self.run("Qwen-Qwen3") { client in
            let reply = try await client.chat(
                "Who?", 100,
                StructuredAnswerTests.requests[0].merging(["chat_template_kwargs": ["enable_thinking": false]]) { $1 })
            let text = try #require(reply.text, "\(reply.body)")
            let object = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(["Lily", "Zoe"].contains(object["name"] as? String) && object.count == 2)
        }
    }

    @Test("requests that make no sense get status 400 and a sentence")
    func refused() async throws {
        let deep = String(repeating: "[", count: 3000) + String(repeating: "]", count: 3000)
        try await Self.run("Mistral-Small") { client in
            let user = ["role": "user", "content": "x"]
            let call = ["function": ["name": "f", "arguments": deep]]
            let wrong: [[String: Any]] = [
                ["tools": [["type": "web"]]], ["tools": [1]], ["tools": "x"], ["tools": [["type": "function"]]],
                ["tools": [Self.tool(""), Self.tool()]], ["tools": [Self.tool(), Self.tool()]],
                ["tools": [Self.tool("f", ["parameters": ["type": "nothing"]])], "tool_choice": "required"],
                ["tools": [Self.tool("f", ["strict": true, "parameters": ["type": "string", "pattern": "(?=a)"]])]],
                ["tools": [Self.tool()], "tool_choice": "sometimes"], ["tool_choice": "required"],
                ["tools": [Self.tool()], "tool_choice": ["type": "function", "function": ["name": "nothing"]]],
                ["tools": [Self.tool()], "response_format": ["type": "json_object"]],
                ["tools": [Self.tool()], "grammar": "root ::= \"a\""],
                ["functions": [[:] as [String: Any]]], ["reasoning_format": "loud"], ["chat_template_kwargs": [1]],
                ["chat_template_kwargs": ["enable_thinking": "yes"]], ["continue_final_message": true],
                ["messages": [user, user]], ["messages": [["role": "robot", "content": "x"]]],
                ["messages": [["role": "assistant", "content": "x"], ["role": "assistant"]]],
                ["messages": [user, ["role": "assistant", "tool_calls": [1]]]],
                ["messages": [user, ["role": "assistant", "tool_calls": [call]]]],
                ["messages": [user, ["role": "tool", "content": "x"]]],
            ]
            for (index, extra) in wrong.enumerated() {
                let reply = try await client.chat("x", 5, extra)
                #expect(reply.status == 400, "\(index) \(extra): \(reply.body)")
                #expect((reply.error["message"] as? String ?? "").count > 10, "\(index) \(reply.body)")
            }
            let raw = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": \(deep)}"
            #expect(try await client.post("/v1/chat/completions", raw: raw).status == 400)
            #expect(try await client.chat("x", 5).status == 200)
        }
    }

    @Test func withoutATemplateToolsAreRefusedAndChatsAnswered() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.chat("x", 5, ["tools": [Self.tool()]])
            #expect(reply.status == 400 && (reply.error["message"] as? String)?.contains("--chat-template") == true)
            #expect(try await client.chat("x", 5, ["chat_template_kwargs": ["enable_thinking": false]]).status == 200)
        }
    }
}

/// What a stream of a chat adds up to.
struct StreamedMessage {
    struct Call {
        var id = ""
        var name = ""
        var arguments = ""
    }

    var content = ""
    var reasoning = ""
    var calls: [Call] = []
    var finishReason: String?

    init?(_ reply: Reply) {
        let choices = reply.events.compactMap { ($0["choices"] as? [[String: Any]])?.first }
        guard !choices.isEmpty else { return nil }
        for choice in choices {
            finishReason = choice["finish_reason"] as? String ?? finishReason
            let delta = choice["delta"] as? [String: Any] ?? [:]
            content += delta["content"] as? String ?? ""
            reasoning += delta["reasoning_content"] as? String ?? ""
            for call in delta["tool_calls"] as? [[String: Any]] ?? [] { add(call) }
        }
    }

    private mutating func add(_ call: [String: Any]) {
        guard let index = call["index"] as? Int else { return }
        while calls.count <= index { calls.append(Call()) }
        let function = call["function"] as? [String: Any] ?? [:]
        calls[index].id += call["id"] as? String ?? ""
        calls[index].name += function["name"] as? String ?? ""
        calls[index].arguments += function["arguments"] as? String ?? ""
    }
}
#endif
