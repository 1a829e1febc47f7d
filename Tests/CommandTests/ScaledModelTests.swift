import Foundation
import MorphKV
import TestSupport
import Testing

/// Smaller models of published shapes, and what `inspect` says about each architecture's memory.
@Suite struct ScaledModelTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let preset: String
        let flags: [String]
        /// What `inspect` says about what grows and what does not.
        let explained: [String]
        var testDescription: String { preset }
    }

    static let cases = [
        Case(
            preset: "qwen3-30b-a3b", flags: ["--layers", "2", "--narrow", "16"],
            explained: [
                "qwen3moe, 2 layers, embedding 128", "2 query, 1 KV, of 128", "experts: 8 of 128 per token, 48 wide",
            ]
        ),
        Case(
            preset: "gpt-oss-20b", flags: ["--layers", "4", "--narrow", "32"],
            explained: [
                "gpt-oss, 4 layers", "a learned sink per query head",
                "128 tokens in 2 layers, whose keys and values stop growing there",
            ]),
        Case(
            preset: "qwen3.5-0.8b", flags: ["--layers", "8", "--narrow", "8"],
            explained: [
                "attention: in 2 of 8 layers, whose keys and values grow",
                "6 layers with a gated delta net of 2 heads of 128",
            ]),
        Case(
            preset: "qwen3.5-35b-a3b", flags: ["--layers", "4", "--narrow", "16"],
            explained: ["attention: in 1 of 4 layers", "8 of 256 per token, 32 wide, and one of 32 for every token"]),
        Case(
            preset: "qwen3-next-80b-a3b", flags: ["--layers", "4", "--narrow", "16"],
            explained: ["attention: in 1 of 4 layers", "10 of 512 per token"]),
        Case(
            preset: "lfm2-1.2b", flags: ["--layers", "8", "--narrow", "32"],
            explained: ["attention: in 2 of 8 layers", "6 layers with a convolution over 3 tokens"]),
        Case(
            preset: "lfm2-8b-a1b", flags: ["--layers", "8", "--narrow", "32"],
            explained: ["attention: in 2 of 8 layers", "experts: 4 of 32 per token"]),
        Case(
            preset: "granite-4.0-h-micro", flags: ["--layers", "10", "--narrow", "16"],
            explained: ["attention: in 1 of 10 layers", "9 layers with a state space of 4 heads of 64"]),
        Case(
            preset: "gemma-3n-e2b", flags: ["--layers", "23", "--narrow", "8"],
            explained: [
                "keys and values: of 20 of 23 layers; the last 3 attend to those of layers 18",
                "512 tokens in 16 layers, whose keys and values stop growing there",
            ]),
        Case(
            preset: "gemma-4-e2b", flags: ["--layers", "10", "--narrow", "8"],
            explained: [
                "keys and values: of 5 of 10 layers; the last 5 attend to those of layers 3 and 4",
                "512 tokens in 4 layers",
            ]),
    ]

    @Test("first layers of a published shape keep its make, and inspect says what grows", arguments: cases)
    func scaledModels(_ test: Case) throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "model.gguf").path
        let made = try Command.run(
            ["make-model", "--preset", test.preset, "--type", "q8_0", "--vocabulary", "64", "-o", file] + test.flags)
        #expect(made.status == 0, "\(made.errors)")
        let result = try Command.run(["inspect", file])
        #expect(result.status == 0, "\(result.errors)")
        for text in test.explained { #expect(result.output.contains(text), "\(text) is missing: \(result.output)") }
    }

    @Test(
        "what makes no model is said before anything is written",
        arguments: [
            ("qwen3-0.6b", ["--layers", "29"], "1 to 28"), ("qwen3-0.6b", ["--layers", "0"], "1 to 28"),
            ("qwen3.5-0.8b", ["--layers", "3"], "none of the first 3 layers has attention"),
            ("gemma-4-e2b", ["--layers", "5"], "keys that none of the first has"),
            ("qwen3-0.6b", ["--narrow", "3"], "1024 cannot be divided by 3"),
            ("qwen3-0.6b", ["--narrow", "0"], "by 0"),
            ("qwen3-0.6b", ["--vocabulary", "0"], "1 to 151936"),
        ])
    func impossibleScales(_ preset: String, _ flags: [String], _ named: String) throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "model.gguf")
        let result = try Command.run(["make-model", "--preset", preset, "-o", file.path] + flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(named), "\(result)")
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }
}
