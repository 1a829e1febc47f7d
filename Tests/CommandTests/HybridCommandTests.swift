import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Models in which only some blocks have attention.
@Suite struct HybridCommandTests {
    private static func model(in folder: TemporaryFolder) throws -> String {
        var shape = ModelShape(
            "qwen35", embedding: 64, layers: 4, feedForward: 64, queryHeads: 4, kvHeads: 2, headDimension: 16,
            vocabulary: 0, tiesEmbeddings: true, context: 1000, ropeBase: 10000)
        shape.recurrence = .gatedDeltaNet(.init(keyHeads: 2, valueHeads: 4, size: 16, taps: 4))
        shape.ropeDimensions = 8
        shape.extraLists["rope.dimension_sections"] = ModelShape.ropeSections(pairs: 4)
        let url = folder.url.appendingPathComponent("hybrid.gguf")
        var model = try RandomModel(shape, type: .f16, seed: 1, tokenizer: GgufFile(contentsOf: Fixtures.stories))
        try model.write(to: url)
        return url.path
    }

    @Test("inspect says what grows and what does not")
    func inspect() throws {
        let folder = try TemporaryFolder()
        let result = try Command.run(["inspect", Self.model(in: folder), "--capacities", "64"])
        #expect(result.status == 0, "\(result.errors)")
        // Three blocks remember 128 channels for three tokens and four matrices of 16 by 16: 5,632 bytes each.
        for text in [
            "qwen35, 4 layers", "attention: in 1 of 4 layers, whose keys and values grow",
            "without attention: 3 layers with a gated delta net of 4 heads of 16; they remember 17 KB",
        ] {
            #expect(result.output.contains(text), "\(result.output)")
        }
    }

    @Test("libllama's context shift, which such models cannot do, is refused")
    func shifting() throws {
        let folder = try TemporaryFolder()
        let result = try Command.run([
            "endless", "--model", Self.model(in: folder), "--threads", "1", "--capacity", "32", "--at", "300",
            "--windows", "1", "--instead", "llama.cpp",
        ])
        #expect(result.status != 0 && result.status < 128 && result.errors.contains("without attention"), "\(result)")
    }
}
