import Foundation
import Ggml

@testable import MorphKV

/// Contexts over small random models, which have no tokenizer: words are token ids.
enum TestContexts {
    static let prompt = ReconstructionPrompt(
        chunk: 40, overlap: 8, first: .tokens([7, 8, 9]), next: .tokens([10, 11]), postfix: .tokens([12]))

    static func model(_ architecture: String = "llama", queryHeads: Int = 4, kvHeads: Int = 2) throws -> Model {
        try TestCalibrations.model(TestModels.shape(architecture, queryHeads: queryHeads, kvHeads: kvHeads))
    }

    static func make(_ model: Model, tokens: Int = 150, type: CacheType = .f32, seed: UInt64 = 31) throws
        -> CompressedContext
    {
        try CompressedContext(
            reading: TestModels.tokens(tokens - 4, seed: seed), after: [1, 2, 3, 4], model: model,
            options: CacheOptions(policy: FullPolicy(), elementType: type), threads: 1)
    }

    static func compression(_ ratio: Double, _ level: Compression.Level = .pair) -> Compression {
        Compression(.ratio(ratio), level: level, source: .reconstruction(prompt))
    }

    /// A question as token ids, answered greedily.
    static func ask(
        _ context: CompressedContext, _ seed: UInt64, tokens: Int = 12, policy: any CachePolicy = FullPolicy()
    ) async throws -> [Token] {
        let session = try Session(context, policy: policy, threads: 1)
        return try await SessionTests.tokens(
            session.generate(tokens: TestModels.tokens(9, seed: seed), options: .init(maxTokens: tokens)))
    }

    static func temporaryFile() -> URL { TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf") }

    static func bytes(_ context: CompressedContext) throws -> Data {
        let url = temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try context.save(to: url)
        return try Data(contentsOf: url)
    }
}

/// Everything about a session that can be compared.
struct SessionState: Sendable, Equatable {
    let statistics: CacheStatistics
    let positions: [[[Int]]]
    let logits: [Float]
}

extension Session {
    var state: SessionState { SessionState(statistics: statistics, positions: keptPositions, logits: engine.logits) }
}
