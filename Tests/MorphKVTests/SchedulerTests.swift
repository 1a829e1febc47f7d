import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Many requests at a time, in memory that is fixed at the start.
@Suite struct SchedulerTests {
    static let model: Model = {
        do {
            return try Model(contentsOf: TestModels.url(TestModels.shape("llama")))
        } catch {
            fatalError("the test model cannot be made: \(error)")
        }
    }()

    func options(
        parallel: Int = 3, capacity: Int = 48, queueLimit: Int = 64, chunk: Int = 16,
        readLimit: Duration = .seconds(3600)
    ) -> ServingOptions {
        ServingOptions(
            cache: CacheOptions(policy: MorphKVPolicy(capacity: capacity, window: 8), elementType: .f32),
            tokensPerSequence: 512, parallel: parallel, queueLimit: queueLimit, promptChunk: chunk,
            maxPromptTokens: 400, maxTokens: 4000, timeLimit: .seconds(3600), readLimit: readLimit, threads: 1)
    }

    func request(_ promptTokens: Int, seed: UInt64, maxTokens: Int = 40) -> ServingRequest {
        ServingRequest(
            prompt: TestModels.tokens(promptTokens, seed: seed),
            options: GenerationOptions(maxTokens: maxTokens, ignoresEndOfText: true), topLogprobs: 0)
    }

    func tokens(of answer: AnswerStream) async throws -> [Token] {
        var tokens: [Token] = []
        for try await piece in answer { tokens += piece.tokens.map(\.chosen.token) }
        return tokens
    }

    func untilIdle(_ scheduler: Scheduler) async throws {
        try await wait(for: "the end of all requests") { scheduler.isIdle }
    }

    @Test func anAnswerIsThatOfASessionWhosePromptEntersInTheSameParts() async throws {
        let scheduler = try Scheduler(Self.model, options())
        var cache = options().cache
        cache.prefill = .chunked(16)
        for (length, seed) in [(5, UInt64(1)), (16, 2), (100, 3)] {
            let request = request(length, seed: seed)
            let session = try Session(Self.model, cache: cache, threads: 1)
            var expected: [Token] = []
            for try await piece in session.generate(tokens: request.prompt, options: request.options) {
                if let token = piece.token { expected.append(token) }
            }
            #expect(try await tokens(of: scheduler.submit([request])[0]) == expected)
        }
    }

    @Test func anAnswerDoesNotDependOnWhatElseRuns() async throws {
        let scheduler = try Scheduler(Self.model, options())
        let requests = (0..<12).map { request(3 + 17 * $0 % 90, seed: UInt64($0), maxTokens: 20 + 7 * $0) }
        var alone: [[Token]] = []
        for request in requests { alone.append(try await tokens(of: scheduler.submit([request])[0])) }
        let together = try await withThrowingTaskGroup(of: (Int, [Token]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await tokens(of: scheduler.submit([request])[0])) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for index in requests.indices { #expect(together[index] == alone[index], "request \(index)") }
    }

    @Test func theNextTurnOfAConversationContinuesFromItsCache() async throws {
        let scheduler = try Scheduler(Self.model, options(capacity: 400))
        var first = request(30, seed: 5)
        let answer = try await tokens(of: scheduler.submit([first])[0])
        first.prompt += answer + TestModels.tokens(10, seed: 6)
        var end: ServingPiece.End?
        var continued: [Token] = []
        for try await piece in try scheduler.submit([first])[0] {
            continued += piece.tokens.map(\.chosen.token)
            end = piece.end ?? end
        }
        // The last token of the answer was never fed.
        #expect(end?.cachedTokens == 30 + answer.count - 1)
        // Nothing was evicted, so it is the same as starting over.
        let fresh = try Scheduler(Self.model, options(capacity: 400))
        #expect(try await tokens(of: fresh.submit([first])[0]) == continued)
    }

    @Test func theConversationThatWasNotUsedForLongestGoesFirst() async throws {
        let scheduler = try Scheduler(Self.model, options(parallel: 2))
        func cached(_ request: ServingRequest) async throws -> Int? {
            var cached: Int?
            for try await piece in try scheduler.submit([request])[0] { cached = piece.end?.cachedTokens ?? cached }
            return cached
        }
        let (a, b, c) = (request(20, seed: 1), request(20, seed: 2), request(20, seed: 3))
        var (nextA, nextB) = (a, b)
        nextA.prompt += try await tokens(of: scheduler.submit([a])[0]) + [1]
        nextB.prompt += try await tokens(of: scheduler.submit([b])[0]) + [1]
        _ = try await tokens(of: scheduler.submit([c])[0])
        #expect(scheduler.statistics.keptConversations == 2)
        #expect(try await cached(nextB) ?? 0 > 0)
        #expect(try await cached(nextA) == 0)
    }

    @Test func memoryIsWhatWasAnnouncedAfterRequestsOfEveryKind() async throws {
        let scheduler = try Scheduler(Self.model, options())
        let announced = scheduler.memory
        #expect(announced.caches == 3 * announced.cachePerSequence)
        for policy in [
            "h2o:capacity=32,window=8", "streaming:capacity=40", "tova:capacity=24", "morphkv:capacity=40,window=4",
            "keydiff:capacity=32,window=8", "random:capacity=32,window=8", "streaming:capacity=40,prompt=0.5",
        ] {
            var request = request(60, seed: 9)
            request.cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32)
            var end: ServingPiece.End?
            for try await piece in try scheduler.submit([request])[0] { end = piece.end ?? end }
            #expect(end?.policy.hasPrefix(String(policy.prefix(6))) == true)
            #expect(end?.cacheBytes ?? .max <= announced.cachePerSequence)
        }
        #expect(scheduler.statistics.cacheBytesUsed <= announced.caches)
    }

    @Test("what breaks a limit is refused, by name")
    func limits() throws {
        let scheduler = try Scheduler(Self.model, options())
        func kind(_ change: (inout ServingRequest) throws -> Void) throws -> ServingError.Kind? {
            var request = request(10, seed: 1)
            try change(&request)
            do {
                _ = try scheduler.submit([request])
                return nil
            } catch let error as ServingError {
                return error.kind
            }
        }
        #expect(try kind { $0.prompt = [] } == .invalidRequest)
        #expect(try kind { $0.prompt = [320] } == .invalidRequest)
        #expect(try kind { $0.prompt = TestModels.tokens(401, seed: 1) } == .promptTooLong)
        #expect(try kind { $0.options.maxTokens = -1 } == .invalidRequest)
        #expect(try kind { $0.options.maxTokens = 4001 } == .invalidRequest)
        #expect(try kind { $0.cache = .morphKV(capacity: 4096) } == .doesNotFit)
        #expect(try kind { $0.cache = .full } == .doesNotFit)
        #expect(throws: GenerationError.self) { try kind { $0.options.sampling.temperature = -1 } }
        #expect(throws: GenerationError.self) { try kind { $0.options.sampling.logitBias = [400: 1] } }
        #expect(throws: CacheError.self) { try kind { $0.cache = .morphKV(capacity: 8, window: 8) } }
    }

    @Test func aCacheThatGrowsTakesWhatFitsIntoItsShare() async throws {
        var options = options()
        options.cache = CacheOptions(policy: FullPolicy(), elementType: .f32)
        let scheduler = try Scheduler(Self.model, options)
        #expect(try await tokens(of: scheduler.submit([request(100, seed: 1, maxTokens: 412)])[0]).count == 412)
        #expect(throws: ServingError.self) { try scheduler.submit([request(100, seed: 1, maxTokens: 413)]) }
    }

    @Test func aFullQueueSendsRequestsAwayAndSaysWhenToComeBack() async throws {
        let scheduler = try Scheduler(Self.model, options(parallel: 1, queueLimit: 2))
        let answers = try (0..<3).map { try scheduler.submit([request(10, seed: UInt64($0), maxTokens: 3000)])[0] }
        do {
            _ = try scheduler.submit([request(10, seed: 9)])
            Issue.record("the fourth request was taken")
        } catch let error as ServingError {
            #expect(error.kind == .queueFull && error.retryAfter ?? .zero >= .seconds(1))
        }
        for answer in answers { answer.cancel() }
        try await untilIdle(scheduler)
        #expect(try await tokens(of: scheduler.submit([request(10, seed: 9)])[0]).count == 40)
    }

    @Test func threeHundredCancelledRequestsLeaveNothingBehind() async throws {
        let scheduler = try Scheduler(Self.model, options())
        for index in 0..<300 {
            let answer = try scheduler.submit([request(20, seed: UInt64(index), maxTokens: 4000)])[0]
            switch index % 3 {
            case 0: answer.cancel()
            case 1: for try await _ in answer { break }
            default:
                let reader = Task { try await tokens(of: answer) }
                reader.cancel()
                _ = try await reader.value
            }
            try await wait(for: "a shorter queue") { scheduler.statistics.waiting <= 50 }
        }
        try await untilIdle(scheduler)
        let statistics = scheduler.statistics
        #expect(statistics.outcomes == [.cancelled: 300] && statistics.running == 0 && statistics.waiting == 0)
        #expect(try await tokens(of: scheduler.submit([request(10, seed: 9)])[0]).count == 40)
    }

    @Test func anAnswerThatNobodyReadsPausesAndThenEnds() async throws {
        let scheduler = try Scheduler(Self.model, options(readLimit: .milliseconds(50)))
        let answer = try scheduler.submit([request(10, seed: 1, maxTokens: 4000)])[0]
        try await untilIdle(scheduler)
        #expect(scheduler.statistics.generatedTokens < 1000)
        await #expect(throws: ServingError.self) { try await tokens(of: answer) }
    }

    @Test func aRequestThatTakesTooLongEndsWithAnError() async throws {
        var options = options(parallel: 1)
        options.timeLimit = .milliseconds(30)
        let scheduler = try Scheduler(Self.model, options)
        let answers = try scheduler.submit([
            request(10, seed: 1, maxTokens: 4000), request(10, seed: 2, maxTokens: 4000),
        ])
        for answer in answers {
            do {
                _ = try await tokens(of: answer)
                Issue.record("4,000 tokens came in 30 ms")
            } catch let error as ServingError {
                #expect(error.kind == .outOfTime)
            }
        }
        #expect(scheduler.isIdle)
    }

    @Test func aClosedSchedulerFinishesWhatItHasAndAStoppedOneCutsItOff() async throws {
        let scheduler = try Scheduler(Self.model, options())
        let short = try scheduler.submit([request(10, seed: 1)])[0]
        let long = try scheduler.submit([request(10, seed: 2, maxTokens: 4000)])[0]
        scheduler.close()
        #expect(throws: ServingError.self) { try scheduler.submit([request(10, seed: 3)]) }
        #expect(try await tokens(of: short).count == 40)
        await scheduler.stop()
        do {
            _ = try await tokens(of: long)
            Issue.record("a stopped scheduler wrote on")
        } catch let error as ServingError {
            #expect(error.kind == .shuttingDown)
        }
    }

    @Test func probabilitiesAreThoseOfTheModel() async throws {
        let scheduler = try Scheduler(Self.model, options())
        var request = request(10, seed: 1, maxTokens: 5)
        request.topLogprobs = 320
        for try await piece in try scheduler.submit([request])[0] {
            for token in piece.tokens {
                #expect(token.chosen == token.top[0])
                #expect(token.top.map(\.logprob) == token.top.map(\.logprob).sorted(by: >))
                #expect(abs(token.top.reduce(0) { $0 + exp($1.logprob) } - 1) < 1e-3)
            }
        }
    }

    @Test func aBiasForcesOrForbidsAToken() async throws {
        let scheduler = try Scheduler(Self.model, options())
        var request = request(10, seed: 1, maxTokens: 5)
        let free = try await tokens(of: scheduler.submit([request])[0])
        request.options.sampling.logitBias = [7: 100]
        #expect(try await tokens(of: scheduler.submit([request])[0]) == [7, 7, 7, 7, 7])
        request.options.sampling.logitBias = [free[0]: -100]
        #expect(try await tokens(of: scheduler.submit([request])[0])[0] != free[0])
    }

    @Test func aViewOfTheCacheIsSmallAndShowsWhatIsKept() async throws {
        let scheduler = try Scheduler(Self.model, options())
        var request = request(200, seed: 1, maxTokens: 100)
        request.viewInterval = 10
        var views: [CacheView] = []
        for try await piece in try scheduler.submit([request])[0] { piece.view.map { views.append($0) } }
        let last = try #require(views.last)
        #expect(views.count >= 10 && last.prompt == 200 && last.seen == 299)
        #expect(last.kept.count == 2 && last.kept.allSatisfy { $0.count == CacheView.columns })
        // The window stays, so the last column is full; 48 slots of 299 tokens leave most others empty.
        #expect(last.kept.allSatisfy { $0.hasSuffix("9") && $0.filter { $0 == "0" }.count > 20 })
        #expect(last.cacheBytes < last.fullCacheBytes)
    }
}
