import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Damaged files of architectures whose tensors and keys differ from Llama's: refused with an explanation.
@Suite struct HostileArchitectureTests {
    private static func file(_ architecture: String) throws -> RawGguf {
        var shape = TestModels.shape(architecture, queryHeads: 2, kvHeads: 1)
        (shape.feedForward, shape.vocabulary) = (32, 64)
        let url = try TestModels.url(shape)
        defer { try? FileManager.default.removeItem(at: url) }
        return RawGguf(parsing: [UInt8](try Data(contentsOf: url)))
    }

    private static func outcome(_ raw: RawGguf) async throws -> HostileFile.Outcome {
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        defer { try? FileManager.default.removeItem(at: url) }
        try Data(raw.bytes).write(to: url)
        return try await HostileFile.use(url)
    }

    @Test("a truncated file is refused", arguments: ArchitectureTests.all)
    func truncatedFilesAreRefused(_ architecture: String) async throws {
        let bytes = try Self.file(architecture).bytes
        let file = try HostileFile(bytes, in: TestModels.folder)
        #expect(try await HostileFile.use(file.url) == .ran)
        // Behind the single number that Gemma 4's last tensor has, the file is padded to 32 bytes.
        let last = architecture.hasPrefix("gemma4") ? 32 : 1
        for count in (0..<12).map({ bytes.count * $0 / 12 }) + [bytes.count - last] {
            #expect(try await file.outcome(truncatedTo: count) != .ran, "\(count) of \(bytes.count) bytes")
        }
    }

    @Test(
        "a tensor that is missing, or has another shape or type, is named", arguments: ArchitectureTests.architectures)
    func everyTensorIsNeeded(_ architecture: String) async throws {
        let original = try Self.file(architecture)
        // Their blocks differ from each other.
        let isHybrid = RecurrentTests.architectures.contains(architecture)
        let names = original.tensors.map { String(decoding: $0.name, as: UTF8.self) }
        let isNeeded = { (name: String) in
            (!name.hasPrefix("blk.") || name.hasPrefix("blk.0.") || isHybrid && name.hasPrefix("blk.1."))
                && name != "output.weight"
        }
        // What is missing here is done without: keys are values, and nothing is scaled; or it is looked for in three tensors.
        let isOptional = { (name: String) in
            name.hasSuffix(".bias") || architecture == "gemma4" && name.hasSuffix("attn_v.weight")
                || name.hasSuffix("attn_qkv.weight") && architecture == "phi3"
        }
        for name in names where isNeeded(name) && !name.hasSuffix("layer_output_scale.weight") {
            var changes: [(inout RawGguf.Tensor) -> Void] = [
                // As many numbers, so that all else is where it was.
                {
                    let (first, second) = ($0.extents[0], $0.extents.dropFirst().first ?? 1)
                    $0.extents =
                        (first % 2 == 0 ? [first / 2, 2 * second] : [second, first]) + $0.extents.dropFirst(2)
                },
                { $0.type = ElementType.i32.rawValue },
            ]
            if !isOptional(name) { changes.append { $0.name = Array("x".utf8) } }
            for change in changes {
                var raw = original
                raw.withTensor(name, change)
                guard case .refused(let why) = try await Self.outcome(raw) else {
                    Issue.record("\(name) was not refused")
                    continue
                }
                #expect(why.contains(name), "\(why)")
            }
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let architecture: String
        let key: String
        let value: RawGguf.Value?
        /// What the explanation contains besides.
        var named: String?
        var testDescription: String { "\(architecture).\(key) \(value.map { "\($0.payload)" } ?? "missing")" }
    }

    static let cases: [Case] = [
        ("qwen3moe", "expert_count", [nil, .u32(0), .u32(9), .u32(.max), .f32(8)]),
        ("qwen3moe", "expert_used_count", [nil, .u32(0), .u32(9), .i32(-1), .integers([2, 2])]),
        ("qwen3moe", "expert_feed_forward_length", [.u32(0), .u32(.max), .u32(128)]),
        ("qwen3moe", "expert_weights_norm", [.u32(1), .text("yes")]),
        ("qwen3moe", "expert_weights_scale", [.f32(.nan), .f32(.infinity)]),
        ("qwen3moe", "expert_gating_func", [.u32(2), .u32(77)]),
        ("granitemoe", "expert_shared_feed_forward_length", [.u32(32), .i32(-5)]),
        ("granite", "logit_scale", [nil, .f32(0), .f32(.nan), .f32(.leastNonzeroMagnitude), .u32(6)]),
        ("granite", "residual_scale", [.f32(.nan)]),
        ("granite", "embedding_scale", [.f32(.infinity)]),
        ("granite", "rope.scaling.finetuned", [.u32(1)]),
        ("mistral3", "attention.temperature_scale", [.f32(.nan), .u32(1)]),
        ("mistral3", "rope.scaling.yarn_log_multiplier", [.f32(-100), .f32(.infinity)]),
        ("olmo2", "attention.sliding_window_pattern", [.text("x")]),
        ("gpt-oss", "attention.sliding_window_pattern", [.text("x"), .integers([1])]),
        ("gpt-oss", "expert_count", [nil, .u32(4)]),
        ("qwen35", "ssm.conv_kernel", [nil, .u32(0), .u32(1), .u32(.max)]),
        ("qwen35", "ssm.state_size", [nil, .u32(0), .u32(.max)]),
        ("qwen35", "ssm.group_count", [nil, .u32(0), .u32(3), .u32(5)]),
        ("qwen35", "ssm.time_step_rank", [nil, .u32(0), .u32(.max)]),
        ("qwen35", "ssm.inner_size", [nil, .u32(0), .u32(95), .text("x")]),
        ("qwen35", "full_attention_interval", [.u32(0), .u32(5), .i32(-1)]),
        ("qwen35", "attention.recurrent_layers", [.integers([1]), .text("x"), .integers([1, 1, 1, 1])]),
        (
            "qwen35", "rope.dimension_sections",
            [nil, .integers([8, 0, 0, 0]), .integers([0, 0, 0, 0]), .integers([-1, 9])]
        ),
        ("qwen35", "nextn_predict_layers", [.u32(4), .i32(-1)]),
        ("qwen3next", "expert_count", [nil]),
        ("gemma3n", "altup.active_idx", [.u32(1)]),
        ("gemma3n", "altup.num_inputs", [.u32(0), .u32(.max)]),
        ("gemma3n", "embedding_length_per_layer_input", [.u32(0), .u32(.max)]),
        ("gemma3n", "attention.shared_kv_layers", [.u32(6), .i32(-1), .u32(5)]),
        ("gemma3n", "attention.sliding_window", [nil, .u32(0)]),
        ("gemma4", "attention.sliding_window_pattern", [nil, .integers([1])]),
        ("gemma4", "attention.shared_kv_layers", [.u32(7), .i32(-1), .u32(6)]),
        ("gemma4", "attention.key_length_swa", [.u32(0), .u32(.max)]),
        ("gemma4", "attention.value_length_swa", [.u32(8)]),
        ("gemma4", "rope.dimension_count_swa", [.u32(0), .u32(7), .u32(4096)]),
        ("gemma4", "attention.head_count_kv", [.integers([1]), .integers([1, 1, 1, 3, 1, 1, 1])]),
        ("gemma4", "feed_forward_length", [nil, .integers([96]), .integers([96, 96, 96, 96, 160, 160, 0])]),
        ("lfm2moe", "expert_gating_func", [nil, .u32(3), .u32(7)]),
        ("lfm2moe", "leading_dense_block_count", [.u32(7), .i32(-1)]),
        ("granitehybrid", "ssm.conv_kernel", [nil, .u32(0), .u32(1), .u32(.max)]),
        ("granitehybrid", "ssm.state_size", [nil, .u32(0), .u32(.max)]),
        ("granitehybrid", "ssm.group_count", [nil, .u32(0), .u32(3), .u32(9)]),
        ("granitehybrid", "ssm.time_step_rank", [nil, .u32(0), .u32(.max), .u32(7)]),
        ("granitehybrid", "ssm.inner_size", [nil, .u32(0), .u32(95), .text("x")]),
        ("granitehybrid", "attention.head_count_kv", [.integers([0, 1]), .integers([0, 0, 0, 0, 0, 0])]),
        ("lfm2", "shortconv.l_cache", [nil, .u32(0), .u32(1), .u32(.max)]),
        (
            "lfm2", "attention.head_count_kv",
            [.integers([0, 1]), .integers([0, 1, 0, 0, 2, 0]), .integers([0, 0, 0, 0, 0, 0]), .text("x")]
        ),
    ].flatMap { (architecture, key, values: [RawGguf.Value?]) in
        values.map { Case(architecture: architecture, key: key, value: $0) }
    }

    @Test("a key that is missing or makes no sense is named", arguments: cases)
    func keysAreNamed(_ test: Case) async throws {
        var raw = try Self.file(test.architecture)
        if test.architecture == "olmo2" { raw["olmo2.attention.sliding_window"] = .u32(40) }
        raw["\(test.architecture).\(test.key)"] = test.value
        guard case .refused(let why) = try await Self.outcome(raw) else {
            Issue.record("was not refused")
            return
        }
        // Numbers that fit no tensor are named by the tensor.
        #expect(why.contains(test.key) || why.contains("blk.0.ffn_"), "\(why)")
    }

    @Test("groups of experts, experts where there are none, and pictures are refused by name")
    func unsupportedVariantsAreNamed() async throws {
        let cases: [(String, String, RawGguf.Value, String)] = [
            ("qwen3moe", "expert_group_count", .u32(2), "2 groups"), ("qwen3", "expert_count", .u32(8), "qwen3moe"),
            ("granite", "deepstack_mapping", .integers([0, 1]), "pictures"),
        ]
        for (architecture, key, value, named) in cases {
            var raw = try Self.file(architecture)
            raw["\(architecture).\(key)"] = value
            guard case .refused(let why) = try await Self.outcome(raw) else {
                Issue.record("\(key) was not refused")
                continue
            }
            #expect(why.contains(named), "\(why)")
        }
    }

    @Test(
        "an unknown architecture is named with the nearest that works: by its name, or by what it has",
        arguments: [
            ("gemma2", "gemma3", nil), ("qwen2moe", "qwen2", nil), ("granitevision", "granite", nil),
            ("deepseek2", "qwen3moe", "expert_count"), ("nemotron_h", "granitehybrid", "ssm.state_size"),
            ("starcoder2", "llama", nil),
        ] as [(String, String, String?)])
    func unknownArchitecturesAreNamed(_ name: String, _ nearest: String, _ key: String?) async throws {
        var raw = try Self.file("llama")
        raw["general.architecture"] = .text(name)
        if let key { raw["\(name).\(key)"] = .u32(8) }
        guard case .refused(let why) = try await Self.outcome(raw) else {
            Issue.record("was not refused")
            return
        }
        #expect(why.contains("'\(name)'") && why.contains("nearest is '\(nearest)"), "\(why)")
    }

    @Test(
        "any byte of the numbers that describe a model, or of its table of tensors, may be wrong",
        arguments: ArchitectureTests.all)
    func anyByteMayBeWrong(_ architecture: String) async throws {
        let raw = try Self.file(architecture)
        let (bytes, header) = (raw.bytes, raw.header.count)
        let file = try HostileFile(bytes, in: TestModels.folder)
        var random = SplitMix64(seed: 17)
        var (ran, refused) = (0, 0)
        for _ in 0..<150 {
            let offset = Int.random(in: 0..<header, using: &random)
            let byte = [bytes[offset] ^ 1, bytes[offset] ^ 0x80, 0, 0xFF].randomElement(using: &random)!
            switch try await file.outcome(replacing: offset, by: byte) {
            case .ran: ran += 1
            case .refused(let why):
                refused += 1
                #expect(!why.isEmpty)
            }
        }
        // Both must happen, or the test does not test what it says.
        #expect(ran > 10 && refused > 10, "\(ran) ran, \(refused) were refused")
        #expect(try await HostileFile.use(file.url) == .ran)
    }

    @Test("weights may be anything", arguments: ArchitectureTests.all)
    func weightsMayBeAnything(_ architecture: String) async throws {
        let original = try Self.file(architecture)
        for byte in [0xFF, 0x7F, 0x00, 0x3C] as [UInt8] {
            var raw = original
            raw.data = raw.data.map { _ in byte }
            _ = try await Self.outcome(raw)
        }
    }
}
