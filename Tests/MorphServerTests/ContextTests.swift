#if Server
import Foundation
import HummingbirdTesting
import MorphKV
import MorphServer
import Testing

/// Questions about texts that the server was given at its start.
@Suite struct ContextTests {
    private func contexts(_ model: Model) throws -> [String: CompressedContext] {
        let text = """
            Ben had a red kite. He loved to play with his kite in the big park near his house. One day, Ben and his \
            mom went to the park. The wind was very strong.
            """
        var kite = try CompressedContext(reading: text, model: model, threads: 1)
        try kite.compress(.kvzip(ratio: 0.5), threads: 1)
        return ["kite": kite]
    }

    private static var extra: [String: Any] { ["morphkv": ["context": "kite"]] }

    @Test func theSameQuestionHasTheSameAnswerAsInTheLibraryHoweverManyAreAsked() async throws {
        try await TestServer.run(contexts: contexts) { client, scheduler in
            let context = try #require(scheduler.options.contexts["kite"])
            let questions = [" Ben was", " The kite", " Mom said", " One day, Ben saw a dog that was"]
            var expected: [String: String] = [:]
            for question in questions {
                expected[question] = try await context.ask(question, options: .init(maxTokens: 24), threads: 1)
            }
            try await withThrowingTaskGroup(of: (String, String?).self) { group in
                for index in 0..<16 {
                    let question = questions[index % 4]
                    group.addTask { (question, try await client.complete(question, 24, Self.extra).text) }
                }
                for try await (question, text) in group { #expect(text == expected[question], "\(question)") }
            }
            let usage = try await client.complete(" Ben was", 5, Self.extra).json["usage"] as? [String: Any]
            let cached = (usage?["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int
            #expect(try #require(cached) >= context.tokens.count)
        }
    }

    @Test func chatsGoOnBehindAContextTurnByTurn() async throws {
        try await TestServer.run(contexts: contexts) { client, scheduler in
            let context = try #require(scheduler.options.contexts["kite"])
            let options = GenerationOptions(maxTokens: 12, stop: ["\nUser:", "\nSystem:"])
            let expected = try await context.ask(
                "\n\nUser: Where was Ben?\n\nAssistant:", options: options, threads: 1)
            let first = try await client.chat("Where was Ben?", 12, Self.extra)
            #expect(first.status == 200 && first.text == expected)
            let turns = [
                ["role": "user", "content": "Where was Ben?"], ["role": "assistant", "content": expected],
                ["role": "user", "content": "And then?"],
            ]
            let second = try await client.chat("", 12, Self.extra.merging(["messages": turns]) { $1 })
            #expect(second.status == 200 && second.text != first.text)
        }
    }

    @Test func contextsAreListedAndUnknownOnesAreNotFound() async throws {
        try await TestServer.run(contexts: contexts) { client, scheduler in
            let card = try await client.get("/v1/models/stories").json["morphkv"] as? [String: Any]
            let listed = try #require((card?["contexts"] as? [[String: Any]])?.first)
            #expect(listed["id"] as? String == "kite")
            #expect(listed["bytes"] as? Int == scheduler.memory.contexts)
            let unknown = try await client.complete("x", 5, ["morphkv": ["context": "nothing"]])
            #expect(unknown.status == 404 && unknown.error["code"] as? String == "context_not_found")
            #expect(unknown.error["param"] as? String == "morphkv.context")
            let system = try await client.chat(
                "", 5,
                Self.extra.merging([
                    "messages": [["role": "system", "content": "x"], ["role": "user", "content": "y"]]
                ]) { $1 })
            #expect(system.status == 400 && system.error["param"] as? String == "messages[0].role")
            let metrics = try await client.get("/metrics").body
            #expect(metrics.contains("morphkv_context_bytes \(scheduler.memory.contexts)"))
        }
    }
}
#endif
