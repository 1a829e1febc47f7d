import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Pins through the library's interface: sessions, contexts, saved files, and what is refused.
@Suite struct PinnedSessionTests {
    private static let policy = "morphkv:capacity=24,window=6"

    private static func options(
        _ policy: String = policy, pins: Bool = true, attention: CacheOptions.AttentionPath = .automatic
    ) throws -> CacheOptions {
        CacheOptions(
            policy: try PolicyRegistry.standard.policy(policy), elementType: .f32, attention: attention, pins: pins)
    }

    private static func session(_ policy: String = policy, pins: Bool = true) throws -> Session {
        try Session(SessionTests.model, cache: options(policy, pins: pins), threads: 1)
    }

    private static func holds(_ positions: some Sequence<Int>, _ session: Session) async -> Bool {
        let pinned = Set(positions)
        return await session.keptPositions.joined().allSatisfy { pinned.isSubset(of: $0) }
    }

    private static func refusal(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch { return (error as? CacheError).flatMap { $0.kind == .pins ? $0.description : nil } }
    }

    @Test func aPromptIsPinnedWhollyOrInRangesAndLaterPromptsToo() async throws {
        let session = try Self.session()
        #expect(await session.pinRoom == 17)
        let options = GenerationOptions(maxTokens: 60, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(
            session.generate(tokens: TestModels.tokens(30, seed: 1), options: options, pin: .ranges([4..<7, 5..<9])))
        #expect(await session.statistics.pinned == 5)
        #expect(await Self.holds(4..<9, session))
        // The last token of the answer comes before the prompt.
        let start = await session.statistics.tokensSeen + 1
        _ = try await SessionTests.tokens(
            session.generate(tokens: TestModels.tokens(6, seed: 2), options: options, pin: .whole))
        #expect(await session.statistics.pinned == 11)
        #expect(await Self.holds(Array(4..<9) + Array(start..<start + 6), session))
        try await session.reset()
        #expect(await session.statistics.pinned == 0)
    }

    @Test("what cannot be pinned is refused with the numbers, and nothing has changed")
    func refusals() async throws {
        let prompt = TestModels.tokens(30, seed: 1)
        let full = try Self.session("full")
        _ = try await SessionTests.tokens(full.generate(tokens: prompt, options: .init(maxTokens: 3), pin: .whole))
        #expect(await full.statistics.pinned == 30)
        #expect(await full.pinRoom == nil)
        for (policy, pins, wanted, words) in [
            (Self.policy, true, PromptPins.whole, ["30", "17"]), (Self.policy, false, .whole, ["30", "without pins"]),
            (Self.policy, true, .ranges([29..<31]), ["29..<31", "30"]), (Self.policy, true, .ranges([-1..<1]), ["-1"]),
            ("snapkv:promptCapacity=24,window=6", true, .ranges([0..<2]), ["2", "snapkv"]),
            ("kvzip", true, .ranges([0..<2]), ["2", "kvzip"]),
        ] {
            let session = try Self.session(policy, pins: pins)
            let refusal = await Self.refusal {
                _ = try await SessionTests.tokens(
                    session.generate(tokens: prompt, options: .init(maxTokens: 3), pin: wanted))
            }
            for word in words { #expect(refusal?.contains(word) == true, "\(refusal ?? "none"), \(wanted)") }
            let statistics = await session.statistics
            #expect(statistics.tokensSeen == 0 && statistics.pinned == 0)
        }
        // Those of before count.
        let session = try Self.session()
        let options = GenerationOptions(maxTokens: 40, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(session.generate(tokens: prompt, options: options, pin: .ranges([0..<10])))
        let seen = await session.statistics.tokensSeen
        let refusal = await Self.refusal {
            _ = try await SessionTests.tokens(session.generate(tokens: Array(prompt.prefix(8)), pin: .whole))
        }
        #expect(refusal?.contains("18") == true && refusal?.contains("17") == true)
        #expect(await session.statistics.tokensSeen == seen)
        // A prompt that fails leaves no pins behind.
        await #expect(throws: CacheError.self) {
            try await SessionTests.tokens(session.generate(tokens: [1, -1], pin: .whole))
        }
        #expect(await session.statistics.pinned == 10)
    }

    @Test("the smallest head says how much can be pinned")
    func budgets() throws {
        let model = try TestContexts.model()
        for policy in ["h2o:capacity=40,window=6,budgets=head", "streaming:capacity=40,sinks=4,budgets=layer"] {
            let engine = try Engine(model, Self.options(policy), threads: 1)
            let kept = policy.hasPrefix("h2o") ? 6 : 4
            let room = engine.statistics.fewestSlots - kept - 1
            #expect(room < 40 - kept - 1)
            let prompt = TestModels.tokens(60, seed: 1)
            let error = #expect(throws: CacheError.self) {
                try engine.prefill(prompt, pinning: PinnedPositions([0..<room + 1]))
            }
            #expect(error?.description.contains("\(room) fit") == true && engine.seen == 0)
            try engine.prefill(prompt, pinning: PinnedPositions([20..<20 + room]))
            for token in TestModels.tokens(60, seed: 2) { try engine.decode(token) }
            try engine.prefill(prompt)
            #expect(engine.positions.joined().allSatisfy { Set(20..<20 + room).isSubset(of: $0) })
        }
    }

    @Test("no bytes without pins, and those that streaming needs are announced")
    func bytes() throws {
        let model = SessionTests.model
        for policy in FusedAttentionTests.policies where !policy.contains("budgets") && !policy.hasPrefix("augur") {
            for attention in [CacheOptions.AttentionPath.fused, .graph] {
                let (without, with) = (
                    try Self.options(policy, pins: false, attention: attention),
                    try Self.options(policy, attention: attention)
                )
                let plans = try [without, with].map { try CachePlan(model, $0, tokens: 100) }
                let engine = try Engine(model, with, threads: 1, reserve: 100)
                #expect(engine.statistics.allocatedBytes == plans[1].bytes)
                let isFree = attention == .fused && policy != "streaming:capacity=24,sinks=2"
                let grows = policy.hasPrefix("full") || policy.contains("promptCapacity")
                #expect((plans[0].bytes == plans[1].bytes) == (isFree || grows), "\(policy) \(attention)")
            }
        }
    }

    @Test("layers that see a window drop pins when they are out of sight, the others never")
    func slidingWindows() throws {
        let model = try TestContexts.model("gemma3")
        for policy in ["streaming:capacity=40", "h2o:capacity=40,window=5", "streaming:capacity=120"] {
            let engine = try Engine(model, Self.options(policy), threads: 1)
            try engine.prefill(TestModels.tokens(150, seed: 1), pinning: PinnedPositions([80..<90]))
            for token in TestModels.tokens(130, seed: 2) {
                try engine.decode(token)
                let first = engine.seen - 96
                for (layer, heads) in zip(model.description.layers, engine.positions) {
                    let isLocal = layer.slidingWindow != nil
                    let expected = isLocal ? Set(80..<90).filter { $0 >= first } : Set(80..<90)
                    #expect(heads.allSatisfy { expected.isSubset(of: $0) })
                    if isLocal, first > 100 { #expect(heads.allSatisfy { $0[0] >= first }) }
                }
            }
        }
    }

    @Test("behind a context the question can be pinned")
    func behindContexts() async throws {
        let context = try TestContexts.make(TestContexts.model())
        for policy in ["streaming:capacity=24", "tova:capacity=24"] {
            let session = try Session(
                context, policy: PolicyRegistry.standard.policy(policy), pins: true, threads: 1)
            let start = context.tokens.count
            _ = try await SessionTests.tokens(
                session.generate(
                    tokens: TestModels.tokens(90, seed: 3), options: .init(maxTokens: 50, ignoresEndOfText: true),
                    pin: .ranges([3..<12])))
            #expect(await session.statistics.pinned == 9)
            #expect(await Self.holds(start + 3..<start + 12, session))
        }
    }

    @Test(
        "a saved session goes on with its pins, bit for bit",
        arguments: ["streaming:capacity=24", "morphkv:capacity=24,window=6,evictAfter=2", "tova:capacity=24"],
        [CacheOptions.AttentionPath.fused, .graph])
    func savedSessions(_ policy: String, _ attention: CacheOptions.AttentionPath) async throws {
        let model = SessionTests.model
        let session = try Session(model, cache: Self.options(policy, attention: attention), threads: 1)
        let options = GenerationOptions(maxTokens: 40, ignoresEndOfText: true)
        _ = try await SessionTests.tokens(
            session.generate(tokens: TestModels.tokens(40, seed: 3), options: options, pin: .ranges([3..<6, 20..<24])))
        let url = TestContexts.temporaryFile()
        try await session.save(to: url)
        let loaded = try Session(contentsOf: url, model: model, threads: 1)
        #expect(await loaded.state == session.state)
        #expect(await loaded.statistics.pinned == 7)
        for seed in [5, 6] as [UInt64] {
            let prompt = TestModels.tokens(5, seed: seed)
            let expected = try await SessionTests.tokens(
                session.generate(tokens: prompt, options: options, pin: .whole))
            #expect(
                try await SessionTests.tokens(loaded.generate(tokens: prompt, options: options, pin: .whole))
                    == expected)
            #expect(await loaded.state == session.state)
        }
        #expect(await loaded.statistics.pinned == 17)
    }

    @Test("a file whose pins cannot be is refused", arguments: [UInt32(9), 90, .max, 1 << 30])
    func damagedFiles(_ end: UInt32) async throws {
        let session = try Self.session()
        _ = try await SessionTests.tokens(
            session.generate(
                tokens: TestModels.tokens(40, seed: 3), options: .init(maxTokens: 9), pin: .ranges([9..<12])))
        let url = TestContexts.temporaryFile()
        try await session.save(to: url)
        var raw = try #require(RawCacheFile(Data(contentsOf: url)))
        let key = try #require(raw.data.range(of: Data("morphkv.pins.ranges".utf8)))
        raw.data.replace(at: key.upperBound + 16 + 4, with: end)
        try raw.sealed.write(to: url)
        #expect { try Session(contentsOf: url, model: SessionTests.model, threads: 1) } throws: {
            ($0 as? SavedCacheError)?.kind == .damaged
        }
    }
}
