import Foundation
import Ggml
import MorphKV
import Testing

/// Pins of requests that are served many at a time.
@Suite struct PinnedServingTests {
    private static let model = SchedulerTests.model

    private static func scheduler(parallel: Int = 1, pins: Bool = true) throws -> Scheduler {
        try Scheduler(
            model,
            ServingOptions(
                cache: CacheOptions(policy: MorphKVPolicy(capacity: 40, window: 8), elementType: .f32, pins: pins),
                tokensPerSequence: 512, parallel: parallel, promptChunk: 16, maxPromptTokens: 400, maxTokens: 400,
                timeLimit: .seconds(3600), readLimit: .seconds(3600), threads: 1))
    }

    private static func request(_ prompt: [Token], pins: PromptPins, policy: String? = nil) throws -> ServingRequest {
        ServingRequest(
            prompt: prompt, pins: pins, options: GenerationOptions(maxTokens: 30, ignoresEndOfText: true),
            cache: try policy.map {
                CacheOptions(policy: try PolicyRegistry.standard.policy($0), elementType: .f32, pins: true)
            }, topLogprobs: 0, viewInterval: 8)
    }

    private struct Answer {
        var tokens: [Token] = []
        var end: ServingPiece.End?
        var view: CacheView?
    }

    private static func answer(_ scheduler: Scheduler, _ request: ServingRequest) async throws -> Answer {
        var answer = Answer()
        for try await piece in try scheduler.submit([request])[0] {
            answer.tokens += piece.tokens.map(\.chosen.token)
            answer.end = piece.end ?? answer.end
            answer.view = piece.view ?? answer.view
        }
        return answer
    }

    @Test("an answer is that of a session with the same pins, and says how many they are")
    func equalsASession() async throws {
        let scheduler = try Self.scheduler()
        for policy in ["morphkv:capacity=40,window=8", "streaming:capacity=30", "h2o:capacity=30,window=4"] {
            let prompt = TestModels.tokens(90, seed: 4)
            let request = try Self.request(prompt, pins: .ranges([10..<18, 40..<44]), policy: policy)
            let served = try await Self.answer(scheduler, request)
            var cache = try #require(request.cache)
            cache.prefill = .chunked(16)
            let session = try Session(Self.model, cache: cache, threads: 1)
            let expected = try await SessionTests.tokens(
                session.generate(tokens: prompt, options: request.options, pin: request.pins))
            #expect(served.tokens == expected && served.end?.pinned == 12, "\(policy)")
            let view = try #require(served.view)
            #expect(view.pinned == 12)
            // Every column that lies among the pins only is full in every layer.
            let pins = try #require(view.pins)
            #expect(pins.contains("9") && pins.count == view.kept[0].count)
            for row in view.kept {
                for (pinned, kept) in zip(pins, row) where pinned == "9" { #expect(kept == "9") }
            }
            let without = try Self.request(prompt, pins: .none, policy: policy)
            let other = try await Self.answer(scheduler, without)
            #expect(other.end?.pinned == 0 && other.view?.pins == nil && other.end?.cachedTokens == 0)
        }
        #expect(scheduler.statistics.pinnedTokens == 36)
    }

    @Test("the next turn continues from a kept cache only if the pins agree for what it has seen")
    func prefixCache() async throws {
        let first = TestModels.tokens(40, seed: 5)
        for (pins, agrees) in [
            (PromptPins.ranges([5..<10]), true), (.ranges([5..<10, 72..<75]), true), (.ranges([5..<11]), false),
            (.none, false), (.ranges([5..<10, 60..<62]), false), (.whole, false),
        ] {
            let scheduler = try Self.scheduler()
            let turn = try await Self.answer(scheduler, Self.request(first, pins: .ranges([5..<10])))
            let next = first + turn.tokens + TestModels.tokens(6, seed: 6)
            guard pins != .whole else {
                let error = await #expect(throws: CacheError.self) {
                    try await Self.answer(scheduler, Self.request(next, pins: pins))
                }
                #expect(error?.kind == .pins && error?.description.contains("76") == true)
                continue
            }
            let continued = try await Self.answer(scheduler, Self.request(next, pins: pins))
            #expect(continued.end?.cachedTokens == (agrees ? 69 : 0), "\(pins)")
            #expect(continued.end?.pinned == Self.count(pins))
        }
    }

    private static func count(_ pins: PromptPins) -> Int {
        guard case .ranges(let ranges) = pins else { return 0 }
        return ranges.reduce(0) { $0 + $1.count }
    }

    @Test("a scheduler says how much can be pinned, and refuses more")
    func room() async throws {
        let scheduler = try Self.scheduler()
        func cache(_ policy: String) throws -> CacheOptions {
            CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32, pins: true)
        }
        #expect(try scheduler.pinRoom() == 31)
        #expect(try scheduler.pinRoom(cache("streaming:capacity=20,sinks=4")) == 15)
        #expect(try scheduler.pinRoom(cache("full")) == nil)
        #expect(try Self.scheduler(pins: false).pinRoom() == 0)
        let prompt = TestModels.tokens(50, seed: 1)
        for (scheduler, pins) in [
            (scheduler, PromptPins.ranges([0..<32])), (scheduler, .ranges([49..<51])),
            (try Self.scheduler(pins: false), .ranges([0..<1])),
        ] {
            let error = #expect(throws: CacheError.self) { try scheduler.submit([Self.request(prompt, pins: pins)]) }
            #expect(error?.kind == .pins)
        }
        #expect(try await Self.answer(scheduler, Self.request(prompt, pins: .ranges([0..<31]))).end?.pinned == 31)
    }
}
