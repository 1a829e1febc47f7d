#if Server
import Foundation
import HTTPTypes
import HummingbirdTesting
import MorphKV
import MorphServer
import TestSupport
import Testing

/// What is not an answer: errors, limits, access, figures, the page.
@Suite struct InterfaceTests {
    @Test("mistakes get the status and the field that OpenAI's interface gives them")
    func mistakes() async throws {
        let chat = "/v1/chat/completions"
        let message = #""messages":[{"role":"user","content":"x"}]"#
        let cases: [(String, String, Int, String?)] = [
            ("/v1/completions", "{", 400, nil),
            ("/v1/completions", "[1]", 400, nil),
            ("/v1/completions", "\u{0}", 400, nil),
            ("/v1/completions", "{}", 400, "prompt"),
            ("/v1/completions", #"{"prompt":""}"#, 200, nil),
            ("/v1/completions", #"{"prompt":[]}"#, 400, "prompt"),
            ("/v1/completions", #"{"prompt":{"a":1}}"#, 400, "prompt"),
            ("/v1/completions", #"{"prompt":[1,99999]}"#, 400, nil),
            ("/v1/completions", #"{"prompt":"x","temperature":3}"#, 400, "temperature"),
            ("/v1/completions", #"{"prompt":"x","temperature":"hot"}"#, 400, "temperature"),
            ("/v1/completions", #"{"prompt":"x","max_tokens":0}"#, 400, "max_tokens"),
            ("/v1/completions", #"{"prompt":"x","n":99}"#, 400, "n"),
            ("/v1/completions", #"{"prompt":"x","stream_options":{}}"#, 400, "stream_options"),
            ("/v1/completions", #"{"prompt":"x","logit_bias":{"a":1}}"#, 400, "logit_bias"),
            ("/v1/completions", #"{"prompt":"x","suffix":"y"}"#, 400, "suffix"),
            (chat, "{}", 400, "messages"),
            (chat, #"{"messages":[]}"#, 400, "messages"),
            (chat, #"{"messages":[{"role":"user","content":5}]}"#, 400, "messages[0].content"),
            (chat, #"{"messages":[{"role":"robot","content":"x"}]}"#, 400, "messages[0].role"),
            (chat, "{\(message),\"top_logprobs\":3}", 400, "top_logprobs"),
            (chat, "{\(message),\"tools\":[{\"type\":\"function\"}]}", 400, "tools[0].function"),
            (chat, "{\(message),\"response_format\":{\"type\":\"xml\"}}", 400, "response_format"),
            (chat, #"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, 400, "messages[0].content"),
            ("/v1/nothing", "{}", 404, nil),
            ("/v1/models", "{}", 405, nil),
        ]
        try await TestServer.run { client, _ in
            for (path, body, status, param) in cases {
                let reply = try await client.post(
                    path, raw: body.replacing("\"prompt\":\"\"}", with: "\"prompt\":\"\",\"max_tokens\":1}"))
                #expect(reply.status == status && reply.error["param"] as? String == param, "\(body): \(reply.body)")
                guard status != 200 else { continue }
                #expect(reply.error["message"] is String && reply.error["type"] is String, "\(reply.body)")
                #expect(!reply.body.contains("Sources/") && !reply.body.contains(".swift"))
            }
        }
    }

    @Test func bodiesOfAnotherTypeAndTooLargeOnesAreRefused() async throws {
        try await TestServer.run(configure: { $0.maxBodyBytes = 2000 }) { client, _ in
            let form = try await client.post("/v1/completions", raw: "{}", headers: [.contentType: "text/plain"])
            #expect(form.status == 415)
            let large = try await client.post("/v1/completions", ["prompt": String(repeating: "x", count: 3000)])
            #expect(large.status == 413 && large.error["code"] as? String == "body_too_large")
            // Without a length, too.
            let socket = try RawSocket(port: client.port)
            socket.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<40 { socket.send("64\r\n\(String(repeating: "x", count: 100))\r\n") }
            #expect(await socket.read(until: "\r\n").contains("413"))
        }
    }

    @Test(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there"))
    func chatsThatAreTooLargeForATemplateAreRefusedInAllInterfaces() async throws {
        let template = try ChatTemplates.source("microsoft-phi-4")
        try await TestServer.run(
            configure: {
                $0.maxChatBytes = 200
                $0.chatTemplate = template
            }
        ) { client, _ in
            let text = String(repeating: "x", count: 300)
            let message: [[String: String]] = [["role": "user", "content": text]]
            for path in ["/v1/chat/completions", "/v1/messages", "/apply-template", "/v1/messages/count_tokens"] {
                let reply = try await client.post(path, ["messages": message, "max_tokens": 1])
                #expect(reply.status == 400 && reply.error["param"] as? String == "messages", "\(path): \(reply.body)")
                #expect((reply.error["message"] as? String)?.contains("200 ") == true)
            }
            #expect(try await client.post("/v1/responses", ["input": text]).status == 400)
            #expect(try await client.complete(text, 1).status == 200)
        }
    }

    @Test func promptsThatAreTooLongAreRefused() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.complete(String(repeating: "word ", count: 3000))
            #expect(reply.status == 400 && reply.error["code"] as? String == "context_length_exceeded")
        }
    }

    @Test func aFullQueueGivesStatus429AndATimeToComeBack() async throws {
        var options = TestServer.options
        (options.parallel, options.queueLimit) = (1, 0)
        try await TestServer.run(options) { client, scheduler in
            // Nobody reads it and it does not end by itself, so the only sequence stays taken.
            let endless = ServingRequest(
                prompt: [1], options: GenerationOptions(maxTokens: 4000, ignoresEndOfText: true))
            let running = try scheduler.submit([endless])[0]
            let reply = try await client.complete("Once")
            #expect(reply.status == 429 && reply.error["code"] as? String == "queue_full", "\(reply.body)")
            #expect(Int(reply.headers[.retryAfter] ?? "") ?? 0 >= 1)
            running.cancel()
            try await wait(for: "the end of the request") { scheduler.isIdle }
            #expect(try await client.complete("Once").status == 200)
        }
    }

    @Test func keysLetInWhoHasOne() async throws {
        let keys = APIKeys(lines: "first-key\n second-key \n\n")
        try await TestServer.run(configure: { $0.keys = keys }) { client, _ in
            for (header, status) in [
                (nil, 401), ("Bearer wrong", 401), ("Bearer first-ke", 401), ("Bearer first-keyy", 401),
                ("Bearer ", 401),
                ("Basic first-key", 401), ("Bearer first-key", 200), ("bearer second-key", 200),
            ] as [(String?, Int)] {
                var headers: HTTPFields = [:]
                headers[.authorization] = header
                for (path, expected) in [("/v1/models", status), ("/metrics", status), ("/health", 200), ("/", 200)] {
                    let reply = try await client.get(path, headers: headers)
                    #expect(reply.status == expected, "\(path) with \(header ?? "no key")")
                }
            }
        }
    }

    @Test func otherHostNamesAreRefusedWithoutKeys() async throws {
        try await TestServer.run { client, _ in
            for (host, status) in [
                ("evil.example", "403"), ("localhost", "200"), ("127.0.0.1:80", "200"), ("[::1]:1", "200"),
            ] {
                let socket = try RawSocket(port: client.port)
                socket.send("GET /v1/models HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(await socket.read(until: "\r\n").contains(status), "\(host)")
            }
        }
    }

    @Test func modelsHealthAndMetricsTellWhatThereIs() async throws {
        try await TestServer.run { client, scheduler in
            let models = try await client.get("/v1/models")
            let cards = models.json["data"] as? [[String: Any]]
            #expect(cards?.first?["id"] as? String == "stories")
            #expect(try await client.get("/v1/models/stories").json["id"] as? String == "stories")
            #expect(try await client.get("/v1/models/other").status == 404)
            #expect(try await client.get("/health").json["status"] as? String == "ok")
            _ = try await client.complete("Once upon a time", 200)
            let metrics = try await client.get("/metrics").body
            for line in [
                "morphkv_requests_total{outcome=\"length\"} 1", "morphkv_generated_tokens_total 200",
                "morphkv_prompt_tokens_total 5", "morphkv_cache_bytes_planned \(scheduler.memory.caches)",
                "morphkv_first_token_seconds_count 1", "morphkv_step_seconds_count 199",
                "morphkv_step_seconds_bucket{le=\"+Inf\"} 199", "morphkv_requests_running 0",
                "morphkv_evicted_tokens_total 76",
            ] {
                #expect(metrics.contains("\n\(line)\n"), "\(line)")
            }
        }
    }

    @Test func thePageNeedsNothingFromElsewhere() async throws {
        try await TestServer.run { client, _ in
            for path in ["/", "/page.css", "/page.js", "/contexts.js"] {
                let reply = try await client.get(path)
                #expect(reply.status == 200 && reply.body.utf8.count > 500)
                #expect(!reply.body.contains("http://") && !reply.body.contains("https://"))
                #expect(reply.headers[.contentSecurityPolicy]?.contains("default-src 'none'") == true)
            }
        }
    }
}
#endif
