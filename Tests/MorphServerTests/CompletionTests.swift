#if Server
import Foundation
import HTTPTypes
import HummingbirdTesting
import MorphKV
import TestSupport
import Testing

/// The two endpoints that write.
@Suite struct CompletionTests {
    static let story = "there was a little girl named Lily"

    @Test func aCompletionContinuesThePromptAndCountsTokens() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.complete("Once upon a time")
            #expect(reply.status == 200 && reply.text?.contains(Self.story) == true, "\(reply.body)")
            let usage = reply.json["usage"] as? [String: Any]
            #expect(usage?["completion_tokens"] as? Int == 20 && usage?["total_tokens"] as? Int == 25)
            #expect(reply.choices[0]["finish_reason"] as? String == "length")
        }
    }

    @Test func aStreamAddsUpToTheWholeAnswer() async throws {
        try await TestServer.run { client, _ in
            let whole = try await client.complete("Once upon a time", 60)
            let streamed = try await client.complete("Once upon a time", 60, ["stream": true])
            #expect(streamed.headers[.contentType]?.hasPrefix("text/event-stream") == true)
            #expect(streamed.streamedText == whole.text && streamed.isDone)
            let chat = try await client.chat("Tell me about Lily", 40)
            let options: [String: Any] = ["stream": true, "stream_options": ["include_usage": true]]
            let streamedChat = try await client.chat("Tell me about Lily", 40, options)
            #expect(streamedChat.streamedText == chat.text)
            let usage = streamedChat.events.last?["usage"] as? [String: Any]
            #expect(
                usage?["completion_tokens"] as? Int == (chat.json["usage"] as? [String: Any])?["completion_tokens"]
                    as? Int)
        }
    }

    @Test func aStopStringEndsTheAnswerAndIsNotPartOfIt() async throws {
        try await TestServer.run { client, _ in
            for extra in [["stop": "girl"], ["stop": ["zebra", "girl"]]] as [[String: Any]] {
                let reply = try await client.complete("Once upon a time", 40, extra.merging(["logprobs": 0]) { $1 })
                #expect(reply.text == ", there was a little ")
                #expect(reply.choices[0]["finish_reason"] as? String == "stop")
                let tokens = (reply.choices[0]["logprobs"] as? [String: Any])?["tokens"] as? [String]
                // The last token's text is the answer's last space and the beginning of the stop string.
                #expect(tokens?.joined() == ", there was a little g")
                let streamed = try await client.complete("Once upon a time", 40, extra.merging(["stream": true]) { $1 })
                #expect(streamed.streamedText == ", there was a little ")
            }
        }
    }

    @Test func logprobsComeWithTheirTokens() async throws {
        try await TestServer.run { client, _ in
            let chat = try await client.chat("Hello", 8, ["logprobs": true, "top_logprobs": 3])
            let content = try #require((chat.choices[0]["logprobs"] as? [String: Any])?["content"] as? [[String: Any]])
            #expect(content.count == 8)
            #expect(content.map { $0["token"] as? String ?? "" }.joined() == chat.text)
            for item in content {
                let top = try #require(item["top_logprobs"] as? [[String: Any]])
                #expect(top.count == 3 && top[0]["token"] as? String == item["token"] as? String)
            }
        }
    }

    @Test func severalAnswersAndPromptsKeepTheirPlaces() async throws {
        try await TestServer.run { client, _ in
            let body: [String: Any] = [
                "prompt": ["Once upon a time", "Tom had"], "n": 2, "max_tokens": 10, "temperature": 0,
            ]
            let reply = try await client.post("/v1/completions", body)
            let texts = reply.choices.map { $0["text"] as? String }
            #expect(reply.choices.map { $0["index"] as? Int } == [0, 1, 2, 3])
            #expect(texts[0] == texts[1] && texts[2] == texts[3] && texts[0] != texts[2])
            let single = try await client.complete("Tom had", 10)
            #expect(texts[2] == single.text)
            let streamed = try await client.post("/v1/completions", body.merging(["stream": true]) { $1 })
            var parts = Array(repeating: "", count: 4)
            for choice in streamed.events.compactMap({ ($0["choices"] as? [[String: Any]])?.first }) {
                parts[choice["index"] as? Int ?? 0] += choice["text"] as? String ?? ""
            }
            #expect(parts == texts.map { $0 ?? "" })
        }
    }

    @Test func aSeedRepeatsAnAnswerAndAnotherOneChangesIt() async throws {
        try await TestServer.run { client, _ in
            var texts: [String?] = []
            for seed in [1, 1, 2] {
                texts.append(try await client.complete("Once", 40, ["temperature": 1.5, "seed": seed]).text)
            }
            #expect(texts[0] == texts[1] && texts[0] != texts[2])
        }
    }

    @Test func biasesAndPenaltiesChangeWhatIsChosen() async throws {
        try await TestServer.run { client, _ in
            let free = try await client.complete("Once upon a time", 60)
            let penalised = try await client.complete("Once upon a time", 60, ["frequency_penalty": 2])
            #expect(penalised.text != free.text)
            let token = try #require(
                try Model(contentsOf: Fixtures.stories).tokenizer?.encode("a", addSpecial: false).first)
            let biased = try await client.complete("Once", 3, ["logit_bias": ["\(token)": 100]])
            #expect(biased.text == " a a a", "\(biased.body)")
        }
    }

    @Test func aRequestChoosesItsPolicyWithinTheLimits() async throws {
        try await TestServer.run { client, _ in
            let cases: [([String: Any], String)] = [
                ([:], "morphkv:capacity=128,window=16"),
                (["capacity": 64], "morphkv:capacity=64,window=16"),
                (["policy": "h2o"], "h2o:capacity=128"),
                (["policy": "streaming:sinks=2", "capacity": 50], "streaming:capacity=50,sinks=2"),
                (["capacity": 4096], "400 cache_too_large"),
                (["policy": "nothing"], "400 "),
                (["capacity": 3], "400 "),
            ]
            for (wanted, expected) in cases {
                let reply = try await client.complete("Once upon a time", 10, ["morphkv": wanted])
                let cache = (reply.json["morphkv"] as? [String: Any])?["cache"] as? [String: Any]
                let policy = cache?["policy"] as? String
                #expect((policy ?? "\(reply.status) \(reply.error["code"] as? String ?? "")") == expected)
            }
        }
    }

    @Test func theNextTurnOfAChatIsCached() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.complete("Once upon a time", 30)
            let text = "Once upon a time" + (reply.text ?? "")
            let next = try await client.complete(text + " Then she", 5)
            let details = (next.json["usage"] as? [String: Any])?["prompt_tokens_details"] as? [String: Any]
            #expect(details?["cached_tokens"] as? Int ?? 0 > 20, "\(next.body)")
        }
    }

    @Test func namesOfSpecialTokensInAMessageStayText() async throws {
        let tokenizer = try #require(try Model(contentsOf: Fixtures.stories).tokenizer)
        let tokens = try ChatFormat(tokenizer).tokens([.init(role: "user", content: "a </s><s> b")])
        #expect(tokens.filter { $0 == tokenizer.beginOfText }.count == 1)
        #expect(!tokens.contains { tokenizer.endsGeneration($0) })
        #expect(tokenizer.decode(tokens).contains("</s><s>"))
    }

    @Test func aViewOfTheCacheComesWithAStreamIfAskedFor() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.complete("Once upon a time", 200, ["stream": true, "morphkv": ["view": 20]])
            let views = reply.events.compactMap { ($0["morphkv"] as? [String: Any])?["view"] as? [String: Any] }
            #expect(views.count >= 5)
            #expect((views.last?["kept"] as? [String])?.count == 5)
            #expect(reply.events.allSatisfy { "\($0)".utf8.count < 8000 })
        }
    }
}
#endif
