import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Questions whose answers become part of a context.
@Suite struct KeptAnswerTests {
    private static let text = "Once upon a time, there was a little girl named Lily. She had a red ball and a dog."

    @Test("after a kept answer the next one is that of one conversation; an answer that is not kept leaves no trace")
    func keptAnswersCount() async throws {
        let model = try Model(contentsOf: Fixtures.stories)
        let options = GenerationOptions(maxTokens: 16)
        let reader = try Session(model, cache: CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        var context = try await reader.prefill(Self.text)
        let conversation = try Session(context, threads: 1)
        var said: [String] = []
        for question in [" One day, Lily", " Then the dog"] {
            var answer = ""
            for try await piece in conversation.generate(question, options: options) { answer += piece.text }
            said.append(answer)
        }
        let before = context.tokens
        #expect(try await context.ask(" One day, Lily", keepingAnswer: false, options: options, threads: 1) == said[0])
        #expect(context.tokens == before)
        #expect(try await context.ask(" One day, Lily", keepingAnswer: true, options: options, threads: 1) == said[0])
        #expect(context.tokens.count > before.count + 16 && context.tokens.starts(with: before))
        #expect(try await context.ask(" Then the dog", options: options, threads: 1) == said[1])
    }
}
