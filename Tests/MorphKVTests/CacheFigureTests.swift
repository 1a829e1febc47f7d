import Foundation
import Ggml
import Testing

@testable import MorphKV

/// How much a cache holds and has evicted, counted from the positions that it holds; every place says the same.
@Suite struct CacheFigureTests {
    static let policies = PolicyRegistry.standard.descriptors.map(\.name)

    /// The most tokens that a KV head of any layer no longer holds, those of a context left out.
    private func evicted(_ session: Session, context: Int = 0) async -> Int {
        let seen = await session.statistics.tokensSeen
        let heads = await session.keptPositions.flatMap { $0 }
        return heads.map { seen - context - $0.count { $0 >= context } }.max() ?? 0
    }

    private func cache(_ policy: String) throws -> CacheOptions {
        let test = PolicyMatrixTests.Case(policy: policy, queryHeads: 4, kvHeads: 2, type: .f32)
        return CacheOptions(policy: try test.make(capacity: 40), elementType: .f32)
    }

    /// Every piece of an answer beside the positions, and the end that the scheduler reports.
    private func check(
        _ session: Session, context: Int = 0, served scheduler: Scheduler, _ request: ServingRequest
    ) async throws {
        var last: Generation.Piece?
        for try await piece in session.generate(tokens: request.prompt, options: request.options) {
            let statistics = await session.statistics
            #expect(await piece.evicted == evicted(session, context: context))
            #expect(piece.evicted == statistics.evicted && piece.slotsUsed == statistics.used)
            #expect(statistics.layers.map(\.evicted).max() == piece.evicted)
            last = piece
        }
        var end: ServingPiece.End?
        for try await piece in try scheduler.submit([request])[0] { end = piece.end ?? end }
        #expect(end?.evicted == last?.evicted && end?.slotsUsed == last?.slotsUsed)
        #expect(scheduler.statistics.evictedTokens == last?.evicted)
    }

    private func scheduler(_ model: Model, _ contexts: [String: CompressedContext] = [:]) throws -> Scheduler {
        var options = ServingOptions(
            cache: CacheOptions(policy: FullPolicy(), elementType: .f32), tokensPerSequence: 512, parallel: 1,
            promptChunk: 300, maxPromptTokens: 400, maxTokens: 400, timeLimit: .seconds(3600),
            readLimit: .seconds(3600), threads: 1)
        options.contexts = contexts
        return try Scheduler(model, options)
    }

    private func request(_ cache: CacheOptions, after context: String? = nil) -> ServingRequest {
        ServingRequest(
            prompt: TestModels.tokens(150, seed: 21), after: context,
            options: GenerationOptions(maxTokens: 30, ignoresEndOfText: true), cache: cache)
    }

    @Test("under every policy, on a model with local and global layers", arguments: policies)
    func localAndGlobalLayers(_ policy: String) async throws {
        let model = try TestCalibrations.model(TestModels.shape("gemma3"))
        let cache = try cache(policy)
        let session = try Session(model, cache: cache, threads: 1)
        try await check(session, served: scheduler(model), request(cache))
        let held = await session.keptPositions.flatMap { $0 }.map(\.count)
        #expect(await session.statistics.used == held.max())
        // The last token was not fed.
        if policy == "full" { #expect(await session.statistics.evicted == 150 + 29 - 96) }
        if policy == "pyramidkv" { #expect(Set(held).count > 2) }
    }

    @Test("behind a context, whole or cut, whose tokens are nobody's evictions", arguments: ["full", "morphkv", "h2o"])
    func behindAContext(_ policy: String) async throws {
        let model = try TestCalibrations.model(TestModels.shape("gemma3"))
        var context = try TestContexts.make(model)
        for level in [nil, Compression.Level.pair, .head(sinks: 4, recent: 48)] {
            if let level { try context.compress(TestContexts.compression(0.4, level), threads: 1) }
            let cache = try cache(policy)
            let session = try Session(context, policy: cache.policy, threads: 1)
            #expect(await session.statistics.evicted == 0)
            try await check(
                session, context: context.tokens.count, served: scheduler(model, ["text": context]),
                request(cache, after: "text"))
        }
    }
}
