import Testing

@testable import MorphKV

/// Which kept cache a conversation takes that begins like another one, where caches hold everything.
@Suite struct SharedBeginningTests {
    private static let system = TestModels.tokens(40, seed: 1)

    private static func scheduler(parallel: Int) throws -> Scheduler {
        let options = ServingOptions(
            cache: CacheOptions(policy: FullPolicy(), elementType: .f32), tokensPerSequence: 512, parallel: parallel,
            queueLimit: 8, promptChunk: 64, maxPromptTokens: 400, maxTokens: 100, timeLimit: .seconds(3600),
            readLimit: .seconds(3600), threads: 1)
        return try Scheduler(SchedulerTests.model, options)
    }

    /// Tokens of a prompt that were in a cache, and the prompt of the conversation's next turn.
    private static func turn(
        _ prompt: [Token], _ scheduler: Scheduler
    ) async throws -> (cached: Int, next: [Token]) {
        let request = ServingRequest(
            prompt: prompt, options: GenerationOptions(maxTokens: 20, ignoresEndOfText: true), topLogprobs: 0)
        var (cached, next) = (0, prompt)
        for try await piece in try scheduler.submit([request])[0] {
            next += piece.tokens.map(\.chosen.token)
            cached = piece.end?.cachedTokens ?? cached
        }
        try await wait(for: scheduler)
        return (cached, next + TestModels.tokens(5, seed: 9))
    }

    private static func wait(for scheduler: Scheduler) async throws { try await SchedulerTests().untilIdle(scheduler) }

    @Test func aConversationIsNotEndedForACommonSystemPromptWhileACacheIsEmpty() async throws {
        let scheduler = try Self.scheduler(parallel: 2)
        let first = try await Self.turn(Self.system + TestModels.tokens(200, seed: 2), scheduler)
        let second = try await Self.turn(Self.system + TestModels.tokens(60, seed: 3), scheduler)
        #expect(second.cached == 0 && scheduler.statistics.keptConversations == 2)
        // Both go on from what they have seen: all but the last token of their answers, which was never fed.
        #expect(try await Self.turn(first.next, scheduler).cached == first.next.count - 6)
        #expect(try await Self.turn(second.next, scheduler).cached == second.next.count - 6)
    }

    @Test func whereNoCacheIsEmptyTheCommonBeginningIsNotReadAgain() async throws {
        let scheduler = try Self.scheduler(parallel: 1)
        _ = try await Self.turn(Self.system + TestModels.tokens(200, seed: 2), scheduler)
        #expect(try await Self.turn(Self.system + TestModels.tokens(60, seed: 3), scheduler).cached == 40)
    }

    @Test func aTurnThatIsTakenBackGoesOnFromItsOwnConversation() async throws {
        let scheduler = try Self.scheduler(parallel: 2)
        let prompt = Self.system + TestModels.tokens(200, seed: 2)
        _ = try await Self.turn(prompt, scheduler)
        #expect(try await Self.turn(prompt.dropLast(10) + TestModels.tokens(10, seed: 4), scheduler).cached >= 230)
        #expect(scheduler.statistics.keptConversations == 1)
    }
}
