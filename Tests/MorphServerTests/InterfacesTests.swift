#if Server
import Foundation
import HTTPTypes
import HummingbirdTesting
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Chats in the words of `/v1/messages` and `/v1/responses`, names of models, and pages elsewhere.
@Suite struct InterfacesTests {
    private static func messages(_ more: [String: Any] = [:]) -> [String: Any] {
        let body: [String: Any] = [
            "model": "any", "max_tokens": 20, "temperature": 0,
            "messages": [
                [
                    "role": "user",
                    "content": [["type": "text", "text": "Tell me about"], ["type": "text", "text": " Lily"]],
                ]
            ],
        ]
        return body.merging(more) { $1 }
    }

    @Test func messagesAreAnsweredAsAnthropicsClientsExpect() async throws {
        try await TestServer.run { client, _ in
            let chat = try await client.chat("Tell me about\n Lily", 20)
            let whole = try await client.post("/v1/messages", Self.messages())
            let content = (whole.json["content"] as? [[String: Any]])?.first
            #expect(content?["text"] as? String == chat.text && content?["type"] as? String == "text", "\(whole.body)")
            #expect(whole.json["stop_reason"] as? String == "max_tokens" && whole.json["type"] as? String == "message")
            let usage = whole.json["usage"] as? [String: Any]
            #expect(usage?["output_tokens"] as? Int == 20)
            let stream = try await client.post("/v1/messages", Self.messages(["stream": true]))
            let events = stream.body.components(separatedBy: "\n\n").compactMap { event in
                event.components(separatedBy: "\ndata: ").last.flatMap {
                    try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
                }
            }
            let text = events.compactMap { ($0["delta"] as? [String: Any])?["text"] as? String }.joined()
            #expect(text == chat.text)
            let kinds = events.compactMap { $0["type"] as? String }
            #expect(kinds.prefix(2) == ["message_start", "content_block_start"])
            #expect(kinds.suffix(3) == ["content_block_stop", "message_delta", "message_stop"])
            let count = try await client.post("/v1/messages/count_tokens", Self.messages())
            let start = (events.first?["message"] as? [String: Any])?["usage"] as? [String: Any]
            let known = (start?["input_tokens"] as? Int ?? 0) + (start?["cache_read_input_tokens"] as? Int ?? 0)
            #expect(count.json["input_tokens"] as? Int == known)
        }
    }

    @Test func responsesAreAnsweredAsOpenAIsClientsExpect() async throws {
        try await TestServer.run { client, _ in
            let chat = try await client.chat("Tell me about Lily", 20)
            let body: [String: Any] = ["input": "Tell me about Lily", "max_output_tokens": 20, "temperature": 0]
            let whole = try await client.post("/v1/responses", body)
            let output = (whole.json["output"] as? [[String: Any]])?.first
            let content = (output?["content"] as? [[String: Any]])?.first
            #expect(content?["text"] as? String == chat.text, "\(whole.body)")
            #expect(whole.json["status"] as? String == "incomplete")
            #expect((whole.json["usage"] as? [String: Any])?["output_tokens"] as? Int == 20)
            let items: [String: Any] = [
                "input": [["role": "user", "content": [["type": "input_text", "text": "Tell me about Lily"]]]],
                "stream": true,
            ]
            let stream = try await client.post("/responses", body.merging(items) { $1 })
            let events = stream.body.components(separatedBy: "\n\n").compactMap { event in
                event.components(separatedBy: "\ndata: ").last.flatMap {
                    try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
                }
            }
            #expect(events.compactMap { $0["sequence_number"] as? Int } == Array(events.indices))
            #expect(events.compactMap { $0["delta"] as? String }.joined() == chat.text)
            let kinds = events.compactMap { $0["type"] as? String }
            #expect(kinds.first == "response.created" && kinds.last == "response.incomplete")
        }
    }

    @Test(
        "what these interfaces do not understand is refused",
        arguments: [
            ("/v1/messages", #"{"max_tokens":5}"#, 400),
            ("/v1/messages", #"{"messages":[{"role":"user","content":"x"}]}"#, 400),
            ("/v1/messages", #"{"max_tokens":5,"messages":[{"content":"x"}]}"#, 400),
            ("/v1/messages", #"{"max_tokens":5,"messages":[5]}"#, 400),
            ("/v1/messages", #"{"max_tokens":5,"system":3,"messages":[{"role":"user","content":"x"}]}"#, 400),
            ("/v1/messages", #"{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"image"}]}]}"#, 501),
            ("/v1/messages", "[[[[", 400), ("/v1/messages", "null", 400),
            ("/v1/responses", "{}", 400), ("/v1/responses", #"{"input":[{"type":"magic"}]}"#, 400),
            ("/v1/responses", #"{"input":"x","previous_response_id":"resp_1"}"#, 400),
            ("/v1/responses", #"{"input":[{"role":"user","content":[{"type":"input_image"}]}]}"#, 501),
        ])
    func refused(_ path: String, _ body: String, _ status: Int) async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.post(path, raw: body)
            #expect(reply.status == status && reply.error["message"] is String, "\(body): \(reply.body)")
            #expect(path == "/v1/responses" || reply.json["type"] as? String == "error")
        }
    }

    @Test func tokensAreAskedForInVLLMsWordsToo() async throws {
        try await TestServer.run { client, _ in
            let ours = try await client.post("/tokenize", ["content": "Once upon", "add_special": true])
            let theirs = try await client.post("/tokenize", ["prompt": "Once upon", "add_special_tokens": true])
            let tokens = try #require(ours.json["tokens"] as? [Int])
            #expect(theirs.json["tokens"] as? [Int] == tokens && tokens.first == 1)
            let text = try await client.post("/detokenize", ["tokens": Array(tokens.dropFirst())])
            #expect(text.json["prompt"] as? String == text.json["content"] as? String && text.json["prompt"] != nil)
            let info = try await client.get("/tokenizer_info").json
            #expect(info["bos_token"] as? String == "<s>" && info["eos_token"] as? String == "</s>")
            #expect(try await client.post("/tokenize", ["add_special": true]).status == 400)
        }
    }

    @Test func anyModelIsServedUnlessNamesAreStrict() async throws {
        try await TestServer.run(configure: { $0.modelAliases = ["second"] }) { client, _ in
            #expect(try await client.complete("Once", 1, ["model": "gpt-9"]).status == 200)
            let card = (try await client.get("/models").json["data"] as? [[String: Any]])?.first
            #expect(card?["aliases"] as? [String] == ["stories", "second"])
        }
        try await TestServer.run(configure: {
            ($0.modelAliases, $0.isStrictAboutModel) = (["second"], true)
        }) { client, _ in
            let reply = try await client.complete("Once", 1, ["model": "gpt-9"])
            #expect(reply.status == 404 && reply.error["param"] as? String == "model")
            #expect(try await client.complete("Once", 1, ["model": "second"]).status == 200)
            #expect(try await client.post("/completion", ["prompt": "x", "model": "gpt-9"]).status == 404)
        }
    }

    @Test(
        "pages elsewhere get in only if their origin may",
        arguments: [
            (AllowedOrigins.loopback, "http://localhost:3000", true), (.loopback, "http://[::1]:3000", true),
            (.loopback, "http://127.0.0.1", true), (.loopback, "https://evil.example", false),
            (.loopback, "http://localhost.evil.example", false), (.loopback, "http://127.evil.example", false),
            (.loopback, "http://localhost:80.evil.example", false), (.loopback, "null", false), (.loopback, "", false),
            (AllowedOrigins("https://a.example, https://b.example"), "https://b.example", true),
            (AllowedOrigins("https://a.example"), "https://c.example", false),
            (AllowedOrigins("*"), "https://c.example", true),
        ] as [(AllowedOrigins, String, Bool)])
    func origins(_ allowed: AllowedOrigins, _ origin: String, _ isIn: Bool) async throws {
        try await TestServer.run(configure: { $0.origins = allowed }) { client, _ in
            let socket = try RawSocket(port: client.port)
            socket.send(
                "OPTIONS /completion HTTP/1.1\r\nHost: localhost\r\nOrigin: \(origin)\r\nConnection: close\r\n\r\n")
            let head = await socket.read(until: "\r\n\r\n").lowercased()
            #expect(head.contains("access-control-allow-origin: \(origin.lowercased())\r\n") == isIn, "\(head)")
            let reply = try await client.get("/health", headers: [.origin: origin])
            #expect((reply.headers[.accessControlAllowOrigin] == origin) == isIn && reply.status == 200)
        }
    }

    @Test func anthropicsHeaderLetsInToo() async throws {
        try await TestServer.run(configure: { $0.keys = APIKeys(["key"]) }) { client, _ in
            for (key, status) in [("key", 200), ("other", 401), ("", 401)] {
                let reply = try await client.post("/v1/messages", Self.messages(), headers: [.init("x-api-key")!: key])
                #expect(reply.status == status)
            }
            #expect(try await client.post("/completion", ["prompt": "x"]).status == 401)
            #expect(try await client.post("/tokenize", ["content": "x"]).status == 401)
            #expect(try await client.get("/slots").status == 401)
        }
    }
}
#endif
