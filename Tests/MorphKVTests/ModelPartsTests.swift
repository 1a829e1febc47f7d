import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

@Suite struct ModelPartsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Cuts a model into three files as `llama-gguf-split` does: the metadata in the first, some tensors in each.
    private func parts(of url: URL) throws -> URL {
        let whole = try GgufFile(contentsOf: url)
        let mapping = try whole.map()
        let tensors = whole.tensors.values.sorted { $0.offset < $1.offset }
        func place(_ number: Int) -> URL { folder.url.appending(path: "model-0000\(number)-of-00003.gguf") }
        for number in 1...3 {
            let writer = GgufWriter()
            if number == 1 { writer.copyKeys(of: whole, prefix: "") }
            writer.setPart(number, of: 3, tensors: tensors.count)
            for tensor in tensors.enumerated().filter({ $0.offset % 3 == number - 1 }).map(\.element) {
                writer.addTensor(tensor.name, tensor.type, tensor.shape)
            }
            try writer.write(to: place(number)) { name, write in
                let tensor = whole.tensors[name]!
                try write(UnsafeRawBufferPointer(rebasing: mapping.bytes[tensor.offset..<tensor.offset + tensor.bytes]))
            }
        }
        return place(1)
    }

    @Test(arguments: ["stories", "q8_0"])
    func aModelInPartsWritesWhatItWritesInOneFile(_ kind: String) throws {
        let url =
            try kind == "stories" ? Fixtures.stories : TestModels.url(TestModels.shape("llama", queryHeads: 8), .q8_0)
        let whole = try Model(contentsOf: url)
        let inParts = try Model(contentsOf: parts(of: url))
        #expect(inParts.fingerprint == whole.fingerprint)
        let tokens = TestModels.tokens(40, seed: 11)
        let engines = try [whole, inParts].map { try Engine($0, .morphKV(capacity: 24, window: 8), threads: 1) }
        for engine in engines { try engine.prefill(tokens) }
        #expect(engines[0].logits == engines[1].logits)
        guard let tokenizer = inParts.tokenizer else { return }
        #expect(tokenizer.encode("Once upon a time") == whole.tokenizer?.encode("Once upon a time"))
    }

    @Test func aFolderOfModelsHasAModelInPartsOnce() throws {
        _ = try parts(of: Fixtures.stories)
        #expect(try ModelFile.all(in: folder.url).map(\.name) == ["model"])
    }
}
