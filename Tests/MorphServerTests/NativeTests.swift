#if Server
import Foundation
import MorphKV
import TestSupport
import Testing

/// `/completion` and what is around it, as llama-server has them.
@Suite struct NativeTests {
    static let prompt = "Once upon a time"

    private func complete(
        _ client: ServerClient, _ more: [String: Any] = [:], path: String = "/completion"
    ) async throws -> Reply {
        let body: [String: Any] = ["prompt": Self.prompt, "n_predict": 8, "temperature": 0]
        return try await client.post(path, body.merging(more) { $1 })
    }

    @Test func aCompletionHasLlamaServersFields() async throws {
        try await TestServer.run { client, _ in
            let reply = try await complete(client, ["return_tokens": true, "n_probs": 3])
            let json = reply.json
            let plain = try await client.complete(Self.prompt, 8)
            #expect(json["content"] as? String == plain.text)
            #expect((json["tokens"] as? [Int])?.count == 8 && json["stop_type"] as? String == "limit")
            #expect(json["prompt"] as? String == "<s> Once upon a time" && json["truncated"] as? Bool == false)
            let timings = json["timings"] as? [String: Any]
            #expect(timings?["prompt_n"] as? Int == 5 && timings?["predicted_n"] as? Int == 8)
            let settings = json["generation_settings"] as? [String: Any]
            #expect(settings?["n_predict"] as? Int == 8 && settings?["top_k"] as? Int == 40)
            let probabilities = try #require(json["completion_probabilities"] as? [[String: Any]])
            #expect(probabilities.count == 8)
            for token in probabilities {
                let top = try #require(token["top_logprobs"] as? [[String: Any]])
                #expect(top.count == 3 && top[0]["id"] as? Int == token["id"] as? Int)
            }
        }
    }

    @Test func aStreamAddsUpAndSaysItsEndByItself() async throws {
        try await TestServer.run { client, _ in
            let whole = try await complete(client, ["n_predict": 40, "return_tokens": true])
            let stream = try await complete(client, ["n_predict": 40, "stream": true], path: "/completions")
            let parts = stream.events.dropLast()
            #expect(parts.allSatisfy { $0["stop"] as? Bool == false && ($0["tokens"] as? [Int])?.isEmpty == false })
            #expect(parts.compactMap { $0["content"] as? String }.joined() == whole.json["content"] as? String)
            #expect(parts.flatMap { $0["tokens"] as? [Int] ?? [] } == whole.json["tokens"] as? [Int])
            #expect(stream.events.last?["stop"] as? Bool == true && stream.events.last?["content"] as? String == "")
        }
    }

    @Test func promptsAreTextsTokensBothOrSeveral() async throws {
        try await TestServer.run { client, _ in
            let tokens = try await client.post("/tokenize", ["content": Self.prompt, "add_special": true])
            let ids = try #require(tokens.json["tokens"] as? [Int])
            let single = try await complete(client)
            #expect(
                try await complete(client, ["prompt": ids]).json["content"] as? String
                    == single.json["content"] as? String)
            let several = try await complete(client, ["prompt": [ids, Self.prompt, ["prompt_string": Self.prompt]]])
            let list = try #require(
                try JSONSerialization.jsonObject(with: Data(several.body.utf8)) as? [[String: Any]])
            #expect(
                list.map { $0["content"] as? String } == Array(repeating: single.json["content"] as? String, count: 3))
            #expect(try await complete(client, ["prompt": [1, "Once", 5, "time"]]).json["content"] is String)
            for hostile in [[], [[]], [["a": 1]], 5, ["prompt_string": 3], [1, ["x"]], [99999]] as [Any] {
                #expect(try await complete(client, ["prompt": hostile]).status == 400, "\(hostile)")
            }
            let image: [String: Any] = ["prompt_string": "x", "multimodal_data": ["aGk="]]
            #expect(try await complete(client, ["prompt": image]).status == 501)
        }
    }

    @Test func theEndSaysWhatEndedIt() async throws {
        try await TestServer.run { client, _ in
            let stopped = try await complete(client, ["n_predict": 40, "stop": ["zebra", "girl"]])
            #expect(stopped.json["stop_type"] as? String == "word")
            #expect(stopped.json["stopping_word"] as? String == "girl")
            let fields = try await complete(client, ["response_fields": ["content", "generation_settings/n_predict"]])
            #expect(fields.json.count == 2 && fields.json["generation_settings/n_predict"] as? Int == 8)
            let none = try await complete(client, ["n_predict": 0])
            #expect(none.json["content"] as? String == "" && none.json["tokens_predicted"] as? Int == 0)
        }
    }

    @Test func biasesExcludeTokensByIdOrText() async throws {
        try await TestServer.run { client, _ in
            for bias in [[[" little", false]], [[" little", -100]], [" little": -100]] as [Any] {
                let reply = try await complete(client, ["n_predict": 20, "logit_bias": bias])
                #expect(reply.status == 200 && (reply.json["content"] as? String)?.contains(" little") == false)
            }
            let settings =
                try await complete(client, ["ignore_eos": true]).json["generation_settings"] as? [String: Any]
            let biases = settings?["logit_bias"] as? [[String: Any]]
            #expect(biases?.isEmpty == false && biases?.allSatisfy { $0["bias"] is NSNull } == true)
        }
    }

    @Test func probabilitiesAfterSamplingAreThoseOfWhatIsLeft() async throws {
        try await TestServer.run { client, _ in
            let more: [String: Any] = [
                "n_probs": 5, "post_sampling_probs": true, "temperature": 1, "top_k": 3, "top_p": 1, "min_p": 0,
            ]
            let reply = try await complete(client, more)
            let items = try #require(reply.json["completion_probabilities"] as? [[String: Any]])
            for item in items {
                let top = try #require(item["top_probs"] as? [[String: Any]])
                #expect(top.count == 3)
                #expect(abs(top.reduce(0) { $0 + ($1["prob"] as? Double ?? 0) } - 1) < 1e-4)
                #expect(top.contains { $0["id"] as? Int == item["id"] as? Int })
            }
        }
    }

    @Test(
        "what is not supported is refused, never left out silently",
        arguments: [
            (["dry_multiplier": 0.8], 400), (["mirostat": 2], 400), (["xtc_probability": 0.5], 400),
            (["typical_p": 0.5], 400),
            (["samplers": ["temperature", "top_k"]], 400), (["samplers": ["magic"]], 400), (["n_predict": -2], 400),
            (["logit_bias": 3], 400), (["n_probs": 1000], 400), (["lora": [["id": 0]]], 501),
            (["image_data": [["id": 1]]], 501),
            (["id_slot": 99], 400), (["samplers": ["top_k", "typ_p", "temperature"]], 200), (["mirostat": 0], 200),
        ] as [([String: any Sendable], Int)])
    func unsupported(_ fields: [String: any Sendable], _ status: Int) async throws {
        try await TestServer.run { client, _ in
            let reply = try await complete(client, fields)
            #expect(reply.status == status, "\(fields): \(reply.body)")
        }
    }

    @Test func tokensAndTheirTextsGoBothWays() async throws {
        try await TestServer.run { client, _ in
            let text = "What is the capital of France ? 媽 🤗"
            let reply = try await client.post("/tokenize", ["content": text])
            let ids = try #require(reply.json["tokens"] as? [Int])
            let back = try await client.post("/detokenize", ["tokens": ids])
            #expect((back.json["content"] as? String)?.trimmingCharacters(in: .whitespaces) == text)
            let pieces = try await client.post("/tokenize", ["content": text, "with_pieces": true])
            #expect((pieces.json["tokens"] as? [[String: Any]])?.map { $0["id"] as? Int } == ids)
            #expect(try await client.post("/detokenize", ["tokens": [-1]]).status == 400)
            #expect(try await client.post("/detokenize", ["tokens": "x"]).status == 400)
            let message: [String: Any] = ["messages": [["role": "user", "content": "Hello"]]]
            let prompt = try await client.post("/apply-template", message)
            #expect((prompt.json["prompt"] as? String)?.contains("Hello") == true)
            let count = try await client.post("/chat/completions/input_tokens", message)
            let usage = try await client.chat("Hello", 1).json["usage"] as? [String: Any]
            #expect(count.json["input_tokens"] as? Int == usage?["prompt_tokens"] as? Int)
            let same = try await client.post("/v1/responses/input_tokens", ["input": message["messages"] ?? ""])
            #expect(same.json["input_tokens"] as? Int == count.json["input_tokens"] as? Int, "\(same.body)")
        }
    }

    @Test func progressComesWithAStreamIfAskedFor() async throws {
        try await TestServer.run { client, _ in
            let long = String(repeating: "Lily went home. ", count: 40)
            let reply = try await complete(client, ["prompt": long, "stream": true, "return_progress": true])
            let progress = reply.events.compactMap { $0["prompt_progress"] as? [String: Any] }
            #expect(progress.count > 2 && progress.first?["processed"] as? Int == 0)
            #expect(progress.last?["processed"] as? Int == progress.last?["total"] as? Int)
            let done = progress.compactMap { $0["processed"] as? Int }
            #expect(done == done.sorted() && Set(done).count == done.count)
        }
    }
}
#endif
