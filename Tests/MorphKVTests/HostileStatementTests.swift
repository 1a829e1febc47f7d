import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// What a refusal says: each names the key, the tensor or the token that is wrong.
@Suite struct HostileStatementTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout RawGguf) -> Void

        /// - Parameter named: what the explanation must contain.
        init(_ named: String, _ change: @escaping @Sendable (inout RawGguf) -> Void) {
            testDescription = named
            self.change = change
        }
    }

    private static func key(_ name: String, _ values: RawGguf.Value?...) -> [Case] {
        values.map { value in Case("llama.\(name)") { $0["llama.\(name)"] = value } }
    }

    static let cases: [Case] =
        [
            key("context_length", nil, .u32(0), .u32(.max), .f32(1)),
            key("block_count", nil, .u32(0), .u32(5000)),
            key("attention.head_count", .u32(0), .u64(.max), .i32(-4)),
            key("attention.layer_norm_rms_epsilon", nil, .f32(.nan), .f32(.infinity), .f32(-1e-5), .text("x")),
            key("rope.freq_base", .f32(.nan), .f32(.infinity)),
            key("rope.scaling.factor", .f32(.nan)),
            key("rope.scaling.attn_factor", .f32(.infinity)),
            key("rope.scaling.yarn_beta_fast", .f32(.nan)),
            key("rope.dimension_count", .u32(0), .u32(7), .u32(4096)),
            [
                Case("blk.2") { $0["llama.block_count"] = .u32(3) },
                Case("cannot share") { $0["llama.attention.head_count_kv"] = .u32(3) },
                Case("token_embd.weight") { $0.withTensor("token_embd.weight") { $0.name = [0x78] } },
                Case("type i32") { $0.withTensor("blk.0.attn_q.weight") { $0.type = ElementType.i32.rawValue } },
                Case("blk.0.attn_q.weight") { $0.withTensor("blk.0.attn_q.weight") { $0.extents = [64, 256] } },
                Case("tokenizer") { $0["tokenizer.ggml.model"] = .text("bert") },
                Case("tokenizer.ggml.tokens") { $0["tokenizer.ggml.tokens"] = .integers([1]) },
                Case("tokenizer.ggml.scores") { $0["tokenizer.ggml.scores"] = .text("x") },
                Case("types for 2") { $0["tokenizer.ggml.token_type"] = .integers([1, 1]) },
                Case("tokenizer.ggml.token_type") { $0["tokenizer.ggml.token_type"] = .text("x") },
                Case("tokenizer.ggml.bos_token_id") { $0["tokenizer.ggml.bos_token_id"] = .text("1") },
                Case("tokenizer.ggml.add_bos_token") { $0["tokenizer.ggml.add_bos_token"] = .u32(1) },
                Case("tokenizer.ggml.pre") { $0["tokenizer.ggml.pre"] = .u32(1) },
                Case("tokenizer.ggml.merges") { $0["tokenizer.ggml.model"] = .text("gpt2") },
                Case("scores for 1") { $0["tokenizer.ggml.scores"] = .floats([1]) },
                Case("no list of tokens") { $0["tokenizer.ggml.tokens"] = nil },
                Case("'<s>' twice") { $0.setToken(262, "<s>") },
                Case("no token for the byte 7") { $0.setToken(10, "seven") },
                Case("'[EMPTY_262]' twice") {
                    $0.setToken(261, "[EMPTY_262]")
                    $0.setToken(262, "")
                },
            ],
        ].flatMap { $0 }

    @Test("an error names what is wrong", arguments: cases)
    func theExplanationNames(_ test: Case) async throws {
        var raw = try SmallVocabularies.sentencePiece()
        test.change(&raw)
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        defer { try? FileManager.default.removeItem(at: url) }
        try Data(raw.bytes).write(to: url)
        let named = test.testDescription.drop { $0 == "'" && !test.testDescription.hasSuffix("twice") }
        switch try await HostileFile.use(url) {
        case .refused(let why): #expect(why.contains(named), "\(why)")
        case .ran: Issue.record("was not refused")
        }
    }

    // MARK: What callers may ask for

    @Test(arguments: [
        SamplingOptions(temperature: .nan), SamplingOptions(temperature: -1), SamplingOptions(topK: -1),
        SamplingOptions(topP: .nan), SamplingOptions(topP: 2), SamplingOptions(minP: -0.1),
        SamplingOptions(repetitionPenalty: 0), SamplingOptions(frequencyPenalty: .infinity),
        SamplingOptions(penaltyWindow: -1), SamplingOptions(penaltyWindow: .max),
    ])
    func samplingOptionsOutOfRangeAreRefused(_ sampling: SamplingOptions) async throws {
        let session = try Session(Self.model(), threads: 1)
        await #expect(throws: GenerationError.self) {
            for try await _ in session.generate(tokens: [1], options: .init(sampling: sampling)) {}
        }
    }

    @Test func logitsThatAreNoNumbersEndTheGenerationWithAnError() async throws {
        var raw = try SmallVocabularies.sentencePiece()
        raw.data = raw.data.map { _ in 0xFF }
        let session = try Session(Self.model(raw), threads: 1)
        let error = await #expect(throws: GenerationError.self) {
            for try await _ in session.generate(tokens: [1, 2]) {}
        }
        #expect(error?.kind == .badLogits)
    }

    @Test func absurdPoliciesAreRefused() throws {
        let model = try Self.model()
        let absurd = [Int.min, -1, 0, 1 << 40, 1 << 62, .max - 1, .max]
        for descriptor in PolicyRegistry.standard.descriptors {
            let good = ["capacity": "64", "window": "8"]
            for parameter in descriptor.parameters {
                for value in absurd {
                    var arguments = good.filter { key, _ in descriptor.parameters.contains { $0.name == key } }
                    arguments[parameter.name] = "\(value)"
                    do {
                        let policy = try PolicyRegistry.standard.policy(descriptor.name, arguments)
                        let engine = try Engine(model, CacheOptions(policy: policy), threads: 1)
                        try engine.prefill([1, 2, 3])
                        try engine.decode(4)
                    } catch is CacheError {
                    } catch let error as GgmlError {
                        #expect(error.kind == .memory)
                    }
                }
            }
        }
        #expect(throws: GgmlError.self) { try Engine(model, .full, threads: 1, reserve: .max) }
        #expect(throws: GgmlError.self) { try Engine(model, .full, threads: 1 << 20) }
    }

    @Test func tokenIdsOutsideTheVocabularyAreRefusedAndTheSessionGoesOn() async throws {
        let session = try Session(Self.model(), threads: 1)
        for token: Token in [-1, .min, .max, 269] {
            await #expect(throws: CacheError.self) { for try await _ in session.generate(tokens: [1, token]) {} }
        }
        var count = 0
        for try await _ in session.generate(tokens: [1], options: .init(maxTokens: 3, ignoresEndOfText: true)) {
            count += 1
        }
        #expect(count == 3)
    }

    /// libllama splits the texts of "deepseek-llm" with std::regex, which recurses once per character.
    @Test(arguments: ["a", " ", "1", "!", "é", "中", "\n", "a!"])
    func aWordOfAnyLengthCanBeTokenised(_ letter: String) throws {
        var raw = try SmallVocabularies.bytePair()
        raw["tokenizer.ggml.pre"] = .text("deepseek-llm")
        let tokenizer = try #require(Self.model(raw).tokenizer)
        let text = String(repeating: letter, count: 100_000)
        #expect(tokenizer.decode(tokenizer.encode(text)) == text)
        let words = String(repeating: "Once upon a time ", count: 10_000)
        #expect(tokenizer.decode(tokenizer.encode(words)) == words)
    }

    private static func model(_ raw: RawGguf? = nil) throws -> Model {
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        try Data((raw ?? SmallVocabularies.sentencePiece()).bytes).write(to: url)
        // The mapping keeps the content.
        defer { try? FileManager.default.removeItem(at: url) }
        return try Model(contentsOf: url)
    }
}

extension RawGguf {
    fileprivate mutating func setToken(_ index: Int, _ text: String) {
        var tokens = self["tokenizer.ggml.tokens"]?.texts ?? []
        tokens[index] = Array(text.utf8)
        self["tokenizer.ggml.tokens"] = .texts(tokens)
    }
}
