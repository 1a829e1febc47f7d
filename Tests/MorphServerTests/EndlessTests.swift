#if Server
import Foundation
import MorphKV
import Testing

/// Conversations beyond the context that the model was trained for, 512 tokens.
@Suite struct EndlessTests {
    private static func usage(_ reply: Reply, _ key: String) -> Int? {
        (reply.json["usage"] as? [String: Any])?[key] as? Int
    }

    @Test("a conversation goes on beyond the trained context")
    func conversationsGoOn() async throws {
        try await TestServer.run { client, _ in
            var text = "Once upon a time"
            var seen = 0
            for _ in 0..<4 {
                let reply = try await client.post(
                    "/v1/completions",
                    ["prompt": text, "max_tokens": 220, "temperature": 0, "morphkv": ["capacity": 128]])
                #expect(reply.status == 200, "\(reply.body)")
                seen = (Self.usage(reply, "prompt_tokens") ?? 0) + (Self.usage(reply, "completion_tokens") ?? 0)
                text += (reply.text ?? "") + " Then"
            }
            #expect(seen > 600)
        }
    }

    @Test(
        "what would pass the trained context is refused where the request asks for that, and cut where it does not say how long"
    )
    func truncationDisabled() async throws {
        try await TestServer.run { client, _ in
            let long = String(repeating: "Once upon a time there was a dog. ", count: 80)
            func ask(_ prompt: String, _ more: [String: Any]) async throws -> Reply {
                try await client.post(
                    "/v1/completions", ["prompt": prompt, "temperature": 0].merging(more) { $1 })
            }
            for (prompt, limit) in [(long, 5), (long, nil), ("Once", 600)] as [(String, Int?)] {
                let more: [String: Any] = limit.map { ["max_tokens": $0] } ?? [:]
                let refused = try await ask(prompt, more.merging(["truncation": "disabled"]) { $1 })
                #expect(refused.status == 400)
                #expect(refused.error["code"] as? String == "context_length_exceeded")
                #expect(refused.error["param"] as? String == "truncation")
                if limit != nil {
                    #expect(try await ask(prompt, more.merging(["truncation": "auto"]) { $1 }).status == 200)
                }
            }
            let whole = try await ask("Once", ["truncation": "disabled"])
            #expect(whole.status == 200)
            #expect((Self.usage(whole, "prompt_tokens") ?? 0) + (Self.usage(whole, "completion_tokens") ?? 0) <= 512)
            #expect(try await ask("Once", ["truncation": "never"]).status == 400)
        }
    }
}
#endif
