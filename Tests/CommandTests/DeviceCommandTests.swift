import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// The commands where graphs attend, on every device that there is, as a user types them.
@Suite(.serialized) struct DeviceCommandTests {
    private let folder: TemporaryFolder
    private let text: URL
    private static let model = ["--threads", "1", "--model", Fixtures.stories.path]

    init() throws {
        folder = try TemporaryFolder()
        let day = "Ben had a red kite. He loved to play with his kite in the big park near his house. "
        text = try folder.write(String(repeating: day, count: 8), to: "text.txt")
    }

    /// The flags that make graphs attend.
    struct Place: Sendable, CustomTestStringConvertible {
        let device: String
        var isCPU: Bool { device == "CPU" }
        var flags: [String] { isCPU ? ["--attention", "graph"] : ["--device", device] }
        var testDescription: String { device }

        static let all = Device.all.filter { $0.kind != .accelerator }.map { Place(device: $0.name) }
    }

    private func run(_ arguments: [String], input: String = "") throws -> String {
        let result = try Command.run(arguments, input: input)
        #expect(result.status == 0, "\(arguments): \(result.errors)")
        return result.output
    }

    @Test("an answer is the kernel's, under policies of constant size too", arguments: Place.all)
    func generate(_ place: Place) throws {
        for policy in ["full", "morphkv:capacity=48,window=8", "adakv:promptCapacity=32,window=8", "kvzip:ratio=0.5"] {
            let arguments =
                ["generate", "--file", text.path, "-n", "40", "--cache-type", "f32", "--policy", policy]
                + Self.model
            #expect(try run(arguments + place.flags) == run(arguments), "\(policy)")
        }
    }

    @Test("a chat, a benchmark, a perplexity and a measurement run to their end", arguments: Place.all)
    func others(_ place: Place) throws {
        let chat = try run(
            ["chat", "--capacity", "64", "-n", "8"] + Self.model + place.flags,
            input: "Hello\nAgain\n/quit\n")
        #expect(!chat.isEmpty)
        let perplexity =
            ["perplexity", "--file", text.path, "--policy", "morphkv:capacity=48,window=8", "--context", "128"]
            + Self.model
        #expect(try run(perplexity + place.flags).prefix(12) == run(perplexity).prefix(12))
        let files = try EvalFolder()
        let out = files.path("run.jsonl")
        _ = try run(
            ["eval"] + files.benchmark("longwriter") + ["--out", out, "--capacity", "32", "--window", "8", "-n", "12"]
                + Self.model + place.flags)
        #expect(try files.lines("run.jsonl").count == 5)
    }

    @Test("a context is compressed, saved and asked, as with the kernel", arguments: Place.all)
    func contexts(_ place: Place) throws {
        func answers(_ name: String, _ flags: [String]) throws -> (report: [String: Any], answer: String) {
            let path = folder.path(name)
            let json = try run(
                ["compress", "--context", text.path, "--ratio", "0.4", "--cache-type", "f32", "--json", "--out", path]
                    + Self.model + flags)
            let report = try #require(JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
            return (
                report, try run(["ask", "--context", path, "-n", "12", " Ben was", " The kite"] + Self.model + flags)
            )
        }
        let (kernel, graph) = (try answers("kernel.gguf", []), try answers("graph.gguf", place.flags))
        #expect(graph.answer == kernel.answer)
        #expect(kernel.report["deviceBytes"] as? Int == 0)
        #expect(try #require(graph.report["deviceBytes"] as? Int) > 0)
        // What one has made the other can ask.
        let moved = ["ask", "--context", folder.path("kernel.gguf"), "-n", "12", " Ben was", " The kite"] + Self.model
        #expect(try run(moved + place.flags) == kernel.answer)
    }

    @Test(
        "a type that a device cannot hold is refused before the model answers, with those that it can",
        arguments: Place.all)
    func types(_ place: Place) throws {
        let shape = ModelShape(
            "llama", embedding: 128, layers: 2, feedForward: 64, queryHeads: 4, kvHeads: 2, headDimension: 32,
            vocabulary: 0, tiesEmbeddings: true, context: 512, ropeBase: 10000)
        var model = try RandomModel(shape, type: .f16, seed: 1, tokenizer: GgufFile(contentsOf: Fixtures.stories))
        let file = folder.url.appending(path: "model.gguf")
        try model.write(to: file)
        for type in ["q8_0", "q4_0", "q5_1", "bf16"] {
            let result = try Command.run(
                ["generate", "-p", "Once", "-n", "4", "--cache-type", type, "--threads", "1", "--model", file.path]
                    + place.flags)
            if result.status == 0 { continue }
            #expect(!place.isCPU && result.output.isEmpty, "\(type): \(result.errors)")
            #expect(result.errors.contains("use f32, f16"), "\(type): \(result.errors)")
        }
    }

    #if Server
    @Test("a server answers many at a time and behind a context, in what it announced", arguments: Place.all)
    func serve(_ place: Place) async throws {
        let saved = folder.path("kite.gguf")
        _ = try run(["compress", "--context", text.path, "--ratio", "0.5", "--out", saved] + Self.model)
        let server = try await ServerProcess(
            ["--capacity", "64", "--parallel", "3", "--context", "kite=\(saved)", "--max-body", "65536"] + place.flags)
        #expect(server.announcement.contains("listening on"), "\(server.errors)")
        #expect(server.announcement.contains("(of these; on \(place.device))") == !place.isCPU)
        func ask(_ prompt: String, _ context: Bool) async throws -> String? {
            var members: [String: Any] = ["prompt": prompt, "max_tokens": 24, "temperature": 0]
            if context { members["morphkv"] = ["context": "kite"] }
            let body = String(decoding: try JSONSerialization.data(withJSONObject: members), as: UTF8.self)
            let answer = try await server.send("POST", "/v1/completions", body)
            return (answer.json["choices"] as? [[String: Any]])?.first?["text"] as? String
        }
        let prompts = [(" Ben was", true), (" The kite", true), ("Once upon a time", false)]
        var alone: [String?] = []
        for (prompt, context) in prompts { alone.append(try await ask(prompt, context)) }
        #expect(alone.allSatisfy { $0?.isEmpty == false })
        async let a = ask(prompts[0].0, true)
        async let b = ask(prompts[1].0, true)
        async let c = ask(prompts[2].0, false)
        let together = try await [a, b, c]
        if place.isCPU { #expect(together == alone) } else { #expect(together.allSatisfy { $0?.isEmpty == false }) }
        #expect(await server.end() == 0)
    }
    #endif
}
