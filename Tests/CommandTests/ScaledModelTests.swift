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
                "grows by 1.02 KB a token, the keys and values of 2 of 2 layers; under a policy of constant size nothing does",
            ]
        ),
        Case(
            preset: "smollm3-3b", flags: ["--layers", "4", "--narrow", "16"],
            explained: ["layers that know no positions: 1 of 4", "a token, the keys and values of 4 of 4 layers"]),
        Case(
            preset: "ministral-3-3b", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["mistral3, 2 layers", "a token, the keys and values of 2 of 2 layers"]),
        Case(
            preset: "granite-3.3-2b", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["granite, 2 layers", "a token, the keys and values of 2 of 2 layers"]),
        Case(
            preset: "granite-3.1-1b-a400m", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["granitemoe, 2 layers", "experts: 8 of 32 per token", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "olmo2-1b", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["olmo2, 2 layers", "a token, the keys and values of 2 of 2 layers"]),
        Case(
            preset: "olmoe-1b-7b", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["olmoe, 2 layers", "experts: 8 of 64 per token", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "mixtral-8x7b", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["llama, 2 layers", "experts: 2 of 8 per token", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "gemma-3-1b", flags: ["--layers", "6", "--narrow", "4"],
            explained: ["512 tokens in 5 layers", "a token, the keys and values of 1 of 6 layers"]),
        Case(
            preset: "phi-3-mini", flags: ["--layers", "2", "--narrow", "16"],
            explained: ["phi3, 2 layers", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "qwen2.5-0.5b", flags: ["--layers", "2", "--narrow", "2"],
            explained: ["qwen2, 2 layers", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "qwen3-0.6b", flags: ["--layers", "2", "--narrow", "8"],
            explained: ["qwen3, 2 layers", "the keys and values of 2 of 2 layers"]),
        Case(
            preset: "gpt-oss-20b", flags: ["--layers", "4", "--narrow", "32"],
            explained: [
                "gpt-oss, 4 layers", "a learned sink per query head",
                "128 tokens in 2 layers, whose keys and values stop growing there",
                "a token, the keys and values of 2 of 4 layers",
            ]),
        Case(
            preset: "qwen3.5-0.8b", flags: ["--layers", "8", "--narrow", "8"],
            explained: [
                "attention: in 2 of 8 layers, whose keys and values grow",
                "6 layers with a gated delta net of 2 heads of 128", "a token, the keys and values of 2 of 8 layers",
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
                "512 tokens in 4 layers", "a token, the keys and values of 1 of 10 layers",
            ]),
    ]

    @Test("there is the shape of a published model of every architecture, and inspect explains it here")
    func everyArchitectureHasAPreset() {
        #expect(Set(ModelShape.presets.values.map(\.architecture)) == Set(Model.architectures))
        #expect(Set(Self.cases.compactMap { ModelShape.presets[$0.preset]?.architecture }) == Set(Model.architectures))
    }

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
