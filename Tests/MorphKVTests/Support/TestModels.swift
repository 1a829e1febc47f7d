import Foundation
import Ggml
import MorphKV
import TestSupport

/// Small models with random weights, written once per test run.
enum TestModels {
    static let folder = TemporaryFolder.ofTheRun.url

    /// A small decoder: MHA (heads equal), GQA or MQA (one KV head).
    static func shape(_ architecture: String, queryHeads: Int = 4, kvHeads: Int = 2, tied: Bool = false) -> ModelShape {
        var shape = ModelShape(
            architecture, embedding: 32 * queryHeads, layers: 2, feedForward: 256, queryHeads: queryHeads,
            kvHeads: kvHeads, headDimension: 32, vocabulary: 320, tiesEmbeddings: tied, context: 2048, ropeBase: 10000)
        if architecture == "gemma3" {
            shape.layers = 4
            shape.slidingWindow = 96
            shape.slidingPattern = 2
        }
        return shape
    }

    static func url(_ shape: ModelShape, _ type: ElementType = .f32, seed: UInt64 = 3) throws -> URL {
        let url = folder.appendingPathComponent("\(UUID().uuidString).gguf")
        var model = try RandomModel(shape, type: type, seed: seed)
        try model.write(to: url)
        return url
    }

    static func tokens(_ count: Int, vocabulary: Int = 320, seed: UInt64) -> [Token] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Token(random.next() % UInt64(vocabulary)) }
    }
}
