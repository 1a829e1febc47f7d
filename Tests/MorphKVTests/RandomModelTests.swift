import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Models with random weights that read and write text.
@Suite struct RandomModelTests {
    private func source(_ file: RawGguf) throws -> GgufFile {
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        try Data(file.bytes).write(to: url)
        return try GgufFile(contentsOf: url)
    }

    private func write(_ shape: ModelShape, tokenizer: GgufFile) throws -> Model {
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        var random = try RandomModel(shape, type: .q8_0, seed: 7, tokenizer: tokenizer)
        try random.write(to: url)
        return try Model(contentsOf: url)
    }

    @Test("the tokenizer of another file comes with the size of its vocabulary", arguments: ["llama", "qwen2"])
    func tokenizersAreTakenOver(_ architecture: String) async throws {
        let raw = try architecture == "llama" ? SmallVocabularies.sentencePiece() : SmallVocabularies.bytePair()
        let original = try source(raw)
        let model = try write(TestModels.shape("llama", tied: true), tokenizer: original)
        let expected = try #require(try Model(contentsOf: original.url).tokenizer)
        let tokenizer = try #require(model.tokenizer)
        #expect(model.description.vocabularySize == expected.vocabularySize)
        #expect(model.description.vocabularySize != TestModels.shape("llama").vocabulary)
        let text = "Once upon a time, naïve"
        #expect(tokenizer.encode(text) == expected.encode(text))
        #expect(tokenizer.decode(tokenizer.encode(text)).hasSuffix(text))
        let session = try Session(model, cache: .morphKV(capacity: 32, window: 4), threads: 1)
        var count = 0
        for try await _ in session.generate(text, options: .init(maxTokens: 4, ignoresEndOfText: true)) { count += 1 }
        #expect(count > 0)
    }

    @Test("a file without a tokenizer that can be used is refused", arguments: ["tokens", "merges", "model"])
    func unusableTokenizersAreRefused(_ missing: String) throws {
        var raw = try SmallVocabularies.bytePair()
        raw["tokenizer.ggml.\(missing)"] = nil
        let file = try source(raw)
        let error = #expect(throws: ModelError.self) {
            try RandomModel(TestModels.shape("llama"), type: .f16, seed: 1, tokenizer: file)
        }
        #expect(error?.kind == .tokenizer)
    }
}
