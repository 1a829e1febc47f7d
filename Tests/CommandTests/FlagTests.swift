import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Flags that several commands share.
@Suite struct FlagTests {
    private let generate = ["generate", "--threads", "1", "--model", Fixtures.stories.path, "-n", "8", "--json"]

    private func report(_ flags: [String]) throws -> [String: Any] {
        let result = try Command.run(generate + ["Once"] + flags)
        return try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.errors)")
    }

    @Test("keys and values have types of their own, named in any case")
    func cacheTypes() throws {
        func bytes(_ flags: [String]) throws -> Int {
            try #require(report(flags)["cacheAllocatedBytes"] as? Int)
        }
        let usual = try bytes([])
        #expect(try bytes(["--cache-type", "f16"]) == usual)
        #expect(try bytes(["--cache-type", "F32"]) > usual)
        let mixed = try bytes(["--cache-type", "f32", "--cache-type-v", "f16"])
        #expect(try mixed > usual && mixed < bytes(["--cache-type", "f32"]))
        #expect(try mixed == bytes(["--cache-type-v", "f32"]))
    }

    @Test(
        "a type that the cache cannot have is refused with those that it can",
        arguments: [
            ["generate", "x"], ["chat"], ["serve"], ["compress", "--context", "x", "--out", "y"],
            ["recall", "--context", "x"],
            ["context-bench"], ["bench"], ["perplexity", "--file", "x"], ["trace", "x"],
            ["eval", "niah", "--data", "x", "--out", "y"],
        ])
    func unknownCacheTypes(_ command: [String]) throws {
        for flag in ["--cache-type", "--cache-type-v"] {
            let result = try Command.run(command + ["--model", Fixtures.stories.path, flag, "q4_K"])
            #expect(result.status != 0 && result.status < 128 && result.output.isEmpty)
            for word in ["q4_K", flag, "bf16", "q8_0"] { #expect(result.errors.contains(word), "\(result.errors)") }
        }
    }

    @Test("--bytes stands for a capacity: the cache takes no more, as a number or as a share of the full cache")
    func bytes() throws {
        func allocated(_ flags: [String]) throws -> Int {
            try #require(report(["--policy", "morphkv"] + flags)["cacheAllocatedBytes"] as? Int)
        }
        let few = try allocated(["--bytes", "64K"])
        #expect((48_000...64_000).contains(few))
        #expect(try allocated(["--bytes", "64KiB"]) >= few)
        // "Once" is two tokens with the beginning, the answer 8: the full cache has 10 tokens of 640 bytes in f16.
        #expect(try allocated(["--bytes", "1/1", "--window", "1"]) <= 6400)
        #expect(
            try report(["--policy", "snapkv:window=1", "--bytes", "64K"])["policy"] as? String
                == "snapkv:promptCapacity=100,window=1")
    }

    @Test("bytes that are too few, or do not go together with what else is stated, are an error that says what works")
    func badBytes() throws {
        let cases: [(flags: [String], words: [String])] = [
            (["--bytes", "10"], ["needs", "bytes at least", "10 are allowed"]),
            (["--bytes", "64K", "--capacity", "32"], ["--capacity", "--bytes"]),
            (["--bytes", "64K", "--policy", "full"], ["full", "capacity"]),
            (["--bytes", "64K", "--policy", "morphkv:capacity=32"], ["capacity", "twice"]),
            (["--bytes", "many"], ["--bytes", "many"]),
        ]
        for (flags, words) in cases {
            let result = try Command.run(generate + ["Once"] + flags)
            #expect(result.status != 0 && result.status < 128 && result.output.isEmpty)
            for word in words { #expect(result.errors.contains(word), "\(result.errors)") }
        }
        let serve = try Command.run(["serve", "--model", Fixtures.stories.path, "--bytes", "1/8"])
        #expect(serve.status != 0 && serve.errors.contains("state a number"), "\(serve.errors)")
    }

    @Test("perplexity and recall take bytes")
    func measuringBytes() throws {
        let folder = try TemporaryFolder()
        let text = try folder.write(String(repeating: "Ben had a red kite. He ran. ", count: 12), to: "text.txt")
        let model = ["--threads", "1", "--model", Fixtures.stories.path, "--json"]
        func objects(_ arguments: [String]) throws -> [[String: Any]] {
            let result = try Command.run(arguments + model)
            #expect(result.status == 0, "\(result.errors)")
            return try result.output.split(separator: "\n").compactMap {
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }
        }
        let perplexity = try objects([
            "perplexity", "--file", text.path, "--context", "80", "--policy", "tova", "--bytes", "1/4",
        ])
        #expect((perplexity.first?["policy"] as? String)?.hasPrefix("tova:capacity=") == true)
        let held = try objects([
            "recall", "--attention", "--context", text.path, "--part", "60", "--policy", "streaming", "tova", "--bytes",
            "1/2,1/4",
        ])
        let bytes = held.compactMap { $0["bytes"] as? Int }
        #expect(bytes.count == 4)
        // Sixty tokens of 1,280 bytes in f32.
        for (index, count) in bytes.enumerated() { #expect(count <= (index % 2 == 0 ? 38_400 : 19_200)) }
        let whole = try objects(["recall", "--context", text.path, "--bytes", "1/1,1/2"])
        #expect(whole.compactMap { $0["ratio"] as? Double }.prefix(2).elementsEqual([1, 0.5]))
    }

    @Test("recall keeps 32-bit keys and values unless told otherwise")
    func recallsCacheType() throws {
        let folder = try TemporaryFolder()
        let text = try folder.write("Ben had a red kite. He loved to play with his kite.", to: "text.txt")
        func bytes(_ flags: [String]) throws -> Int {
            let result = try Command.run(
                [
                    "recall", "--threads", "1", "--model", Fixtures.stories.path, "--context", text.path, "--ratios",
                    "1",
                    "--json",
                ]
                    + flags)
            let line = try #require(result.output.split(separator: "\n").first, "\(result.errors)")
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return try #require(object?["bytes"] as? Int)
        }
        #expect(try bytes([]) == bytes(["--cache-type", "f32"]))
        #expect(try bytes(["--cache-type", "f16"]) < bytes([]))
    }

    @Test("--capacity is the capacity of any policy that has one, stated once")
    func capacities() throws {
        #expect(
            try report(["--policy", "snapkv:window=4", "--capacity", "64"])["policy"] as? String
                == "snapkv:promptCapacity=64,window=4")
        #expect(
            try report(["--policy", "tova", "--capacity", "64"])["policy"] as? String == "tova:capacity=64")
        for (policy, message) in [("full", "capacity"), ("tova:capacity=32", "twice"), ("", "no policy")] {
            let result = try Command.run(generate + ["x", "--policy", policy, "--capacity", "64"])
            #expect(result.status == 1 && result.errors.contains(message), "\(result.errors)")
        }
    }

    @Test("the prompt may be an option, but not an option and an argument")
    func promptOption() throws {
        let arguments = ["generate", "--threads", "1", "--model", Fixtures.stories.path, "-n", "12"]
        let direct = try Command.run(arguments + ["Tom had a dog"])
        for flag in ["-p", "--prompt"] {
            let result = try Command.run(arguments + [flag, "Tom had a dog"])
            #expect(result.status == 0 && !result.output.isEmpty && result.output == direct.output)
            let twice = try Command.run(arguments + [flag, "Tom had a dog", "Tom had a dog"])
            #expect(twice.status != 0 && twice.status < 128 && twice.errors.contains("--prompt"), "\(twice.errors)")
        }
    }

    @Test("a chat begins with the prompt, then reads standard input", arguments: ["-p", "--prompt"])
    func chatPrompt(_ flag: String) throws {
        let arguments = ["chat", "--threads", "1", "--model", Fixtures.stories.path, "--capacity", "128", "-n", "20"]
        let typed = try Command.run(arguments, input: "Hello\nAnd then?\n/history\n")
        let prompted = try Command.run(arguments + [flag, "Hello"], input: "And then?\n/history\n")
        #expect(prompted.status == 0 && prompted.errors.isEmpty, "\(prompted.errors)")
        #expect(prompted.output == typed.output && prompted.output.contains("user: Hello\n"))
        // It is a message even if it looks like a command.
        let command = try Command.run(arguments + [flag, "/quit"], input: "/history\n")
        #expect(command.output.contains("user: /quit\n"))
    }
}

/// The shared flags of `serve`, which show in what it announces and answers.
@Suite(.serialized)
struct ServeFlagTests {
    /// A small model with random weights and a tokenizer.
    private func withModel(
        _ architecture: String, _ type: ElementType, tied: Bool = false, adjust: (inout ModelShape) -> Void = { _ in },
        _ body: (URL) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "random.gguf")
        var shape = ModelShape(
            architecture, embedding: 128, layers: 2, feedForward: 256, queryHeads: 4, kvHeads: 2, headDimension: 32,
            vocabulary: 512, tiesEmbeddings: tied, context: 4096, ropeBase: 10000)
        adjust(&shape)
        let tokenizer = try GgufFile(contentsOf: Fixtures.stories)
        var model = try RandomModel(shape, type: type, seed: 3, tokenizer: tokenizer)
        try model.write(to: url)
        try await body(url)
    }

    @Test("--no-repack leaves the weights in the file")
    func noRepack() async throws {
        let type = try #require(ElementType(named: "iq4_nl"))
        try await withModel("llama", type, tied: true) { url in
            // Where there is a faster layout, the table of embeddings is held in both.
            for (flags, repacks) in [([], true), (["--no-repack"], false)] {
                let server = try await ServerProcess(["--capacity", "64"] + flags, model: url.path)
                let line = server.announcement.firstMatch(of: /weights +([0-9.]+) KB/)
                let announced = try #require(line.flatMap { Double($0.output.1) }, "\(server.announcement)")
                let expected = try Model(contentsOf: url, repacks: repacks).weightBytes
                #expect(abs(announced * 1000 - Double(expected)) <= 500, "\(flags)")
                #expect(await server.end() == 0)
            }
        }
    }

    @Test("--context-length chooses between long and short RoPE factors")
    func contextLength() async throws {
        try await withModel("phi3", .f32) {
            $0.hasRopeFactors = true
            $0.extraIntegers["rope.scaling.original_context_length"] = 2048
        } _: { url in
            var answers: [String] = []
            for flags in [[], ["--context-length", "1024"]] {
                let server = try await ServerProcess(["--capacity", "256"] + flags, model: url.path)
                let body = #"{"prompt":"Once upon a time","max_tokens":16,"temperature":0}"#
                let answer = try await server.complete(body: body)
                let json = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
                let text = try #require((json?["choices"] as? [[String: Any]])?.first?["text"] as? String)
                #expect(await server.end() == 0)
                let alone = try Command.run(
                    ["generate", "--threads", "1", "--model", url.path, "-n", "16", "Once upon a time"] + flags)
                #expect(text == String(alone.output.dropLast()), "\(flags)")
                answers.append(text)
            }
            #expect(answers[0] != answers[1])
        }
    }

    @Test("--verbose shows the messages of ggml and libllama")
    func verbose() async throws {
        let quiet = try await ServerProcess(["--capacity", "64"])
        #expect(await quiet.end() == 0)
        #expect(!quiet.errors.contains("llama_model_loader"))
        let verbose = try await ServerProcess(["--capacity", "64", "--verbose"])
        #expect(await verbose.end() == 0)
        #expect(verbose.errors.contains("llama_model_loader"), "\(verbose.errors)")
    }
}
