#if Server
import Foundation
import MorphKV
import TestSupport
import Testing

/// Prompts that are repeated with their probabilities, as evaluation harnesses ask for them.
@Suite struct EchoTests {
    private static let text = "Once upon a time there was a little girl named Lily. She loved to play outside."

    @Test("log-likelihoods are those of Perplexity, also where the cache is full", arguments: [128, 20])
    func logLikelihoods(_ capacity: Int) async throws {
        var options = TestServer.options
        let cache = CacheOptions.morphKV(capacity: capacity, window: 8)
        options.cache = cache
        try await TestServer.run(options) { client, scheduler in
            let tokens = try #require(scheduler.model.tokenizer).encode(Self.text)
            let more: [String: Any] = ["prompt": tokens.map(Int.init), "echo": true, "logprobs": 1]
            let reply = try await client.complete("", 0, more)
            let logprobs = try #require(reply.choices.first?["logprobs"] as? [String: Any])
            let values = try #require(logprobs["token_logprobs"] as? [Any])
            #expect(values.count == tokens.count && values[0] is NSNull, "\(reply.body)")
            let mean = values.dropFirst().reduce(0.0) { $0 + ($1 as? Double ?? 1000) } / Double(tokens.count - 1)
            let measured = try Perplexity.measure(
                scheduler.model, cache, tokens: tokens, context: tokens.count, threads: 1)
            // Which sums the kernel rounds in another way than a device.
            #expect(abs(-mean - log(measured.perplexity)) < (TestDevice.chosen == nil ? 1e-4 : 1e-3))
            // With a token to answer, as harnesses ask, it is one more.
            let one = try await client.complete("", 1, more)
            let all = (one.choices.first?["logprobs"] as? [String: Any])?["token_logprobs"] as? [Any]
            #expect(all?.count == tokens.count + 1)
            #expect(all?.dropLast().dropFirst().map { $0 as? Double } == values.dropFirst().map { $0 as? Double })
        }
    }

    @Test func thePromptComesBeforeTheAnswer() async throws {
        try await TestServer.run { client, _ in
            let plain = try await client.complete(Self.text, 10)
            let echoed = try await client.complete(Self.text, 10, ["echo": true])
            #expect(echoed.text == Self.text + (plain.text ?? "-"))
            let streamed = try await client.complete(Self.text, 10, ["echo": true, "stream": true])
            #expect(streamed.streamedText == echoed.text)
            let scored = try await client.complete(Self.text, 10, ["echo": true, "logprobs": 2])
            let logprobs = scored.choices.first?["logprobs"] as? [String: Any]
            let tokens = logprobs?["tokens"] as? [String]
            #expect(tokens?.joined().trimmingCharacters(in: .whitespaces) == echoed.text)
            #expect(
                try await client.complete(Self.text, 10, ["echo": true, "logprobs": 2, "stream": true]).status == 400)
            #expect(try await client.complete(Self.text, 0, ["echo": true]).status == 400)
        }
    }
}
#endif
