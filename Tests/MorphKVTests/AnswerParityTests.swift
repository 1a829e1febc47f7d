import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// A session and the scheduler give the same answer, whatever its options are.
@Suite struct AnswerParityTests {
    /// Everything about an answer that both report.
    private struct Answer: Equatable {
        var text = ""
        var reason: Generation.FinishReason?
        var tokens = 0
        var slotsUsed = 0
        var evicted = 0
    }

    /// How many answers ended in which way.
    private struct Ends {
        var stop = 0
        var endOfText = 0
        var length = 0
    }

    /// Gemma 3 with two layers that see 96 tokens, two that see everything, and a tokenizer.
    private static func gemma() throws -> Model {
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        try Data(SmallVocabularies.sentencePiece("gemma3").bytes).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        return try Model(contentsOf: url)
    }

    private static func options(_ random: inout SplitMix64) -> GenerationOptions {
        var sampling = SamplingOptions(
            temperature: [0, 0.7, 1.4].randomElement(using: &random)!,
            topK: [0, 5, 40].randomElement(using: &random)!, topP: [1, 0.9].randomElement(using: &random)!,
            minP: [0, 0.05].randomElement(using: &random)!,
            repetitionPenalty: [1, 1.5, 0.8].randomElement(using: &random)!,
            frequencyPenalty: [0, 0.5].randomElement(using: &random)!,
            presencePenalty: [0, 0.7].randomElement(using: &random)!,
            penaltyWindow: [0, 8, 64, 4096].randomElement(using: &random)!,
            seed: .random(in: 0...UInt32.max, using: &random))
        // Letters are likely, so that stop strings appear; the token that ends the text is, now and then.
        for token in 100...125 { sampling.logitBias[Token(token)] = 2 }
        if Bool.random(using: &random) { sampling.logitBias[2] = 4 }
        let stops = ["e", "th", "po", "n", "xyz"]
        return GenerationOptions(
            maxTokens: .random(in: 1...40, using: &random), sampling: sampling,
            stop: (0..<Int.random(in: 0...2, using: &random)).map { _ in stops.randomElement(using: &random)! },
            ignoresEndOfText: Int.random(in: 0..<3, using: &random) == 0)
    }

    private func answer(
        _ session: Session, _ request: ServingRequest
    ) async throws -> (answer: Answer, isEndOfText: Bool) {
        var answer = Answer()
        var last: Token?
        for try await piece in session.generate(tokens: request.prompt, options: request.options) {
            answer.text += piece.text
            answer.tokens += piece.token == nil ? 0 : 1
            (answer.slotsUsed, answer.evicted, answer.reason) = (piece.slotsUsed, piece.evicted, piece.finish)
            last = piece.token
        }
        return (answer, last == nil)
    }

    private func answer(_ scheduler: Scheduler, _ request: ServingRequest) async throws -> Answer {
        var answer = Answer()
        var scored: [ScoredToken] = []
        for try await piece in try scheduler.submit([request])[0] {
            answer.text += piece.text
            scored += piece.tokens
            guard let end = piece.end else { continue }
            (answer.tokens, answer.reason) = (end.tokens, end.reason)
            (answer.slotsUsed, answer.evicted) = (end.slotsUsed, end.evicted)
        }
        #expect(scored.count <= answer.tokens && (request.topLogprobs != nil || scored.isEmpty))
        if request.topLogprobs != nil, answer.reason == .length { #expect(scored.count == answer.tokens) }
        return answer
    }

    private static func servingOptions(_ contexts: [String: CompressedContext] = [:]) -> ServingOptions {
        var options = ServingOptions(
            cache: CacheOptions(policy: FullPolicy(), elementType: .f32), tokensPerSequence: 512, parallel: 3,
            promptChunk: 64, maxPromptTokens: 400, maxTokens: 400, timeLimit: .seconds(3600), readLimit: .seconds(3600),
            threads: 1)
        options.contexts = contexts
        return options
    }

    /// Three requests at a time, each with options of its own, and what ended them.
    private func compare(
        _ scheduler: Scheduler, policies: [any CachePolicy], after context: String?, seed: UInt64,
        session: (CacheOptions) throws -> Session
    ) async throws {
        var random = SplitMix64(seed: seed)
        let requests = (0..<48).map { index in
            let options = Self.options(&random)
            return ServingRequest(
                prompt: TestModels.tokens(2 + 11 * index % 150, vocabulary: 260, seed: seed + UInt64(index)),
                after: context, options: options,
                cache: CacheOptions(policy: policies[index % policies.count], elementType: .f32),
                topLogprobs: [nil, 0, 3].randomElement(using: &random)!)
        }
        let served = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await answer(scheduler, request)) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        var ends = Ends()
        for (index, request) in requests.enumerated() {
            var cache = try #require(request.cache)
            cache.prefill = .chunked(64)
            let (expected, isEndOfText) = try await answer(session(cache), request)
            #expect(served[index] == expected, "request \(index): \(request.options)")
            let end = isEndOfText ? \Ends.endOfText : expected.reason == .stop ? \.stop : \.length
            ends[keyPath: end] += 1
        }
        #expect(ends.stop > 3 && ends.endOfText > 3 && ends.length > 3, "the options cover every end: \(ends)")
    }

    @Test func anAnswerIsTheSameWithAnyOptions() async throws {
        let model = try Self.gemma()
        let scheduler = try Scheduler(model, Self.servingOptions())
        let policies: [any CachePolicy] = [
            MorphKVPolicy(capacity: 40, window: 8), PyramidKVPolicy(SnapKVPolicy(promptCapacity: 24, window: 4)),
            FullPolicy(),
        ]
        try await compare(scheduler, policies: policies, after: nil, seed: 100) {
            try Session(model, cache: $0, threads: 1)
        }
    }

    @Test func anAnswerIsTheSameWithAnyOptionsBehindAContext() async throws {
        let model = try Self.gemma()
        let context = try CompressedContext(
            reading: TestModels.tokens(150, vocabulary: 260, seed: 31), model: model,
            options: CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        let scheduler = try Scheduler(model, Self.servingOptions(["text": context]))
        let policies: [any CachePolicy] = [
            MorphKVPolicy(capacity: 40, window: 8), H2OPolicy(capacity: 30, window: 4), FullPolicy(),
        ]
        try await compare(scheduler, policies: policies, after: "text", seed: 200) {
            try Session(context, policy: $0.policy, threads: 1)
        }
    }

    @Test("penalties count the prompt, as far as their window reaches, but no context", arguments: [false, true])
    func penaltiesCountThePrompt(_ hasContext: Bool) async throws {
        let model = try TestContexts.model()
        // It has the token that the prompt lacks.
        let context = try CompressedContext(
            reading: [5, 7, 9], model: model, options: CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1
        )
        let scheduler = try Scheduler(model, Self.servingOptions(["text": context]))
        func first(_ window: Int) async throws -> [Token] {
            let request = ServingRequest(
                prompt: (0..<320).filter { $0 != 7 }, after: hasContext ? "text" : nil,
                options: GenerationOptions(
                    maxTokens: 1, sampling: SamplingOptions(presencePenalty: 1e6, penaltyWindow: window)),
                topLogprobs: 0)
            var served: [Token] = []
            for try await piece in try scheduler.submit([request])[0] { served += piece.tokens.map(\.chosen.token) }
            let session = try hasContext ? Session(context, threads: 1) : Session(model, threads: 1)
            let alone = try await SessionTests.tokens(
                session.generate(tokens: request.prompt, options: request.options))
            return [served, alone].flatMap { $0 }
        }
        #expect(try await first(4096) == [7, 7])
        #expect(try await first(20).allSatisfy { $0 < 300 && $0 != 7 })
    }

    @Test("penalties count the whole conversation, in a session as in a kept one of the scheduler")
    func penaltiesCountEarlierTurns() async throws {
        let model = try TestContexts.model()
        let scheduler = try Scheduler(model, Self.servingOptions())
        // Every token is there but two: each turn can only give one of them.
        let options = GenerationOptions(
            maxTokens: 1, sampling: SamplingOptions(presencePenalty: 1e6, penaltyWindow: 4096))
        let prompt: [Token] = (0..<320).filter { $0 != 7 && $0 != 11 }
        let session = try Session(model, threads: 1)
        let first = try await SessionTests.tokens(session.generate(tokens: prompt, options: options))
        let second = try await SessionTests.tokens(session.generate(tokens: [5], options: options))
        #expect(Set(first + second) == [7, 11])
        var served: [Token] = []
        for conversation in [prompt, prompt + first + [5]] {
            let request = ServingRequest(prompt: conversation, options: options, topLogprobs: 0)
            for try await piece in try scheduler.submit([request])[0] { served += piece.tokens.map(\.chosen.token) }
        }
        #expect(served == first + second)
        try await session.reset()
        let fresh = try await SessionTests.tokens(session.generate(tokens: prompt + second, options: options))
        #expect(fresh == first)
    }
}
