import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Requests that follow a context which all of them share.
@Suite struct SchedulerContextTests {
    private static let policy = MorphKVPolicy(capacity: 40, window: 8)

    private func options(_ contexts: [String: CompressedContext], _ policy: any CachePolicy = policy) -> ServingOptions
    {
        var options = ServingOptions(
            cache: CacheOptions(policy: policy, elementType: .f32), tokensPerSequence: 512, parallel: 3,
            promptChunk: 70, maxPromptTokens: 400, maxTokens: 400, timeLimit: .seconds(3600), readLimit: .seconds(3600),
            threads: 1)
        options.contexts = contexts
        return options
    }

    private func request(_ length: Int, seed: UInt64, after context: String?) -> ServingRequest {
        ServingRequest(
            prompt: TestModels.tokens(length, seed: seed), after: context,
            options: GenerationOptions(maxTokens: 30, ignoresEndOfText: true), topLogprobs: 0)
    }

    private func tokens(of answer: AnswerStream) async throws -> [Token] {
        var tokens: [Token] = []
        for try await piece in answer { tokens += piece.tokens.map(\.chosen.token) }
        return tokens
    }

    private func expected(_ context: CompressedContext, _ request: ServingRequest, _ policy: any CachePolicy)
        async throws
        -> [Token]
    {
        let session = try Session(context, policy: policy, threads: 1)
        return try await SessionTests.tokens(session.generate(tokens: request.prompt, options: request.options))
    }

    @Test("answers are those of sessions, however many are asked at a time", arguments: ["morphkv", "full", "h2o"])
    func answersAreThoseOfSessions(_ name: String) async throws {
        let model = try TestContexts.model()
        var cut = try TestContexts.make(model)
        try cut.compress(TestContexts.compression(0.4), threads: 1)
        let contexts = ["cut": cut, "whole": try TestContexts.make(model, seed: 32)]
        let policy: any CachePolicy =
            switch name {
            case "full": FullPolicy()
            case "h2o": H2OPolicy(capacity: 40, window: 4, prompt: 0.9)
            default: Self.policy
            }
        let before = try contexts.mapValues(TestContexts.bytes)
        let scheduler = try Scheduler(model, options(contexts, policy))
        let lengths = [3, 64, 85, 150]
        let requests = (0..<12).map { index in
            request(lengths[index % 4], seed: UInt64(40 + index), after: index % 3 == 0 ? "whole" : "cut")
        }
        let answers = try await withThrowingTaskGroup(of: (Int, [Token]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await tokens(of: scheduler.submit([request])[0])) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, request) in requests.enumerated() {
            #expect(answers[index] == (try await expected(contexts[request.context!]!, request, policy)), "\(index)")
        }
        #expect(try contexts.mapValues(TestContexts.bytes) == before)
        #expect(scheduler.memory.contexts == contexts.values.reduce(0) { $0 + $1.statistics.allocatedBytes })
    }

    @Test func theNextTurnGoesOnFromTheKeptCacheAndSequencesWithoutAContextSeeNothingOfIt() async throws {
        let model = try TestContexts.model()
        let context = try TestContexts.make(model)
        let scheduler = try Scheduler(model, options(["text": context]))
        let first = request(20, seed: 7, after: "text")
        var end: ServingPiece.End?
        var answer: [Token] = []
        for try await piece in try scheduler.submit([first])[0] {
            answer += piece.tokens.map(\.chosen.token)
            end = piece.end ?? end
        }
        // The last of the 30 tokens was not fed.
        #expect(end?.promptTokens == 170 && end?.cachedTokens == 150 && end?.evicted == 20 + 29 - 40)
        var second = first
        second.prompt += answer + [5, 6]
        for try await piece in try scheduler.submit([second])[0] { end = piece.end ?? end }
        #expect(end?.cachedTokens == 150 + 20 + answer.count - 1)
        let plain = request(20, seed: 7, after: nil)
        let without = try await tokens(of: scheduler.submit([plain])[0])
        let other = try Scheduler(model, options([:]))
        let alone = try await tokens(of: other.submit([plain])[0])
        #expect(without == alone && without != answer)
    }

    @Test func whatCannotBeIsRefused() async throws {
        let model = try TestContexts.model()
        let context = try TestContexts.make(model)
        let scheduler = try Scheduler(model, options(["text": context]))
        let unknown = #expect(throws: ServingError.self) {
            try scheduler.submit([request(3, seed: 1, after: "other")])
        }
        #expect(unknown?.kind == .unknownContext && unknown?.description.contains("'other'") == true)
        var cutting = request(3, seed: 1, after: "text")
        cutting.cache = CacheOptions(policy: SnapKVPolicy(promptCapacity: 20, window: 4), elementType: .f32)
        #expect(throws: CacheError.self) { try scheduler.submit([cutting]) }
        let other = try TestContexts.model()
        let error = #expect(throws: ServingError.self) { try Scheduler(other, options(["text": context])) }
        #expect(error?.description.contains("'text'") == true)
    }

    @Test func aContextKeepsItsOwnTypesAndMustLeaveRoomForThem() async throws {
        let model = try TestContexts.model()
        let small = try TestContexts.make(model, type: .f16)
        let scheduler = try Scheduler(model, options(["small": small]))
        let request = request(20, seed: 9, after: "small")
        #expect(
            try await tokens(of: scheduler.submit([request])[0]) == (try await expected(small, request, Self.policy)))
        var tight = options(["large": try TestContexts.make(model)])
        tight.cache = CacheOptions(policy: Self.policy, elementType: .f16)
        let error = #expect(throws: ServingError.self) { try Scheduler(model, tight) }
        #expect(error?.kind == .doesNotFit)
    }
}
