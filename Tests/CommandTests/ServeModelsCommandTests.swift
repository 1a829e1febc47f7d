import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// `morphkv serve --models-dir` as a process of its own.
@Suite(.serialized)
struct ServeModelsCommandTests {
    /// The trained model and two random ones of other architectures, which are larger.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(at: Fixtures.stories, to: folder.url.appending(path: "stories.gguf"))
        for (name, architecture, width) in [("amber", "qwen3", 256), ("brown", "llama", 384)] {
            let shape = ModelShape(
                architecture, embedding: width, layers: 6, feedForward: 4 * width, queryHeads: 4, kvHeads: 2,
                headDimension: 64, vocabulary: 512, tiesEmbeddings: true, context: 2048, ropeBase: 10000)
            var model = try RandomModel(shape, type: .f16, seed: 5, tokenizer: GgufFile(contentsOf: Fixtures.stories))
            try model.write(to: folder.url.appending(path: "\(name).gguf"))
        }
        _ = try folder.write("no model", to: "damaged.gguf")
        return folder
    }

    private func ask(_ server: ServerProcess, _ model: String) async throws -> Int {
        let body = #"{"model":"\#(model)","prompt":"Once upon a time","max_tokens":20}"#
        return try await server.complete(body: body).status
    }

    @Test func modelsTakeTurnsInTheMemoryThatWasAnnounced() async throws {
        let folder = try folder()
        let server = try await ServerProcess(
            [
                "--models-dir", folder.url.path, "--capacity", "128", "--parallel", "2", "--max-connections", "24",
                "--max-body", "65536", "--max-prompt", "512", "--max-tokens", "64", "--queue", "8", "--prompt-part",
                "64",
            ], model: nil)
        let lines = server.announcement
        #expect(lines.contains("4 models") && lines.contains("damaged: cannot be used"), "\(lines)")
        let announced = try #require(
            lines.firstMatch(of: /stays below .*\((\d+) bytes\)/).flatMap { Int($0.output.1) }, "\(lines)")
        var largest = 0.0
        for name in ["brown", "amber", "stories", "brown", "stories", "amber", "brown", "amber", "brown"] {
            #expect(try await ask(server, name) == 200)
            largest = max(largest, try await server.metrics()["process_resident_memory_bytes"] ?? 0)
        }
        #expect(largest <= Double(announced) && largest > 0.5 * Double(announced), "\(largest) of \(announced)")
        #expect(try await ask(server, "else") == 404)
        #expect(try await ask(server, "damaged") == 400)
        _ = try await server.complete(body: #"{"model":"brown"}"#, path: "/models/unload")
        // What the largest model took is really given back: its 25 MB of weights are.
        try await wait(for: "the memory") {
            let resident = try await server.metrics()["process_resident_memory_bytes"] ?? 0
            return resident == 0 || resident < largest - 15e6
        }
        #expect(await server.end() == 0)
    }

    @Test func theBoundThatIsGivenIsTheOneThatIsAnnounced() async throws {
        let folder = try folder()
        let server = try await ServerProcess(
            [
                "--models-dir", folder.url.path, "--model", Fixtures.stories.path, "--memory", "260M", "--capacity",
                "64",
                "--parallel", "1", "--max-prompt", "512", "--max-connections", "24", "--max-body", "65536",
            ], model: nil)
        #expect(server.announcement.contains("(260000000 bytes)"), "\(server.announcement)")
        let usual = try await server.complete(body: #"{"prompt":"Once","max_tokens":3}"#)
        #expect(usual.status == 200 && usual.body.contains("\"model\":\"stories260K\""), "\(usual.body)")
        #expect(await server.end() == 0)
    }

    @Test(
        "flags that do not go together are refused",
        arguments: [
            [], ["--memory", "4G", "--model", "m.gguf"], ["--models-dir", ".", "--memory", "much"],
            ["--models-dir", ".", "--context", "a=b"], ["--models-dir", ".", "--calibration", "c.gguf"],
            ["--models-dir", ".", "--model-wait-time", "0"], ["--models-dir", "/nonexistent"],
        ])
    func contradictions(_ flags: [String]) throws {
        let result = try Command.run(["serve"] + flags)
        #expect(result.status != 0 && result.status < 128 && !result.errors.isEmpty, "\(flags): \(result.errors)")
    }

    @Test func aFolderWithoutModelsEndsTheCommand() throws {
        let folder = try TemporaryFolder()
        let result = try Command.run(["serve", "--models-dir", folder.url.path])
        #expect(result.status != 0 && result.errors.contains("there is no GGUF file of a model"), "\(result.errors)")
    }
}
