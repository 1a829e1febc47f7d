import MorphKV
import Testing
import TestSupport

/// One thing that a file may say wrongly.
struct HostileChange: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let apply: @Sendable (inout RawGguf) -> Void

    init(_ name: String, _ apply: @escaping @Sendable (inout RawGguf) -> Void) {
        testDescription = name
        self.apply = apply
    }

    /// Each of the values under a key below the architecture's prefix.
    private static func decoder(_ name: String, _ values: [RawGguf.Value?]) -> [HostileChange] {
        values.map { value in
            HostileChange("\(name) = \(describe(value))") { file in
                let architecture = String(decoding: file["general.architecture"]!.payload.dropFirst(8), as: UTF8.self)
                file["\(architecture).\(name)"] = value
            }
        }
    }

    private static func plain(_ key: String, _ values: RawGguf.Value?...) -> [HostileChange] {
        values.map { value in HostileChange("\(key) = \(describe(value))") { $0[key] = value } }
    }

    private static func describe(_ value: RawGguf.Value?) -> String {
        value.map { "type \($0.type), bytes \($0.payload.prefix(12))" } ?? "nothing"
    }

    static let numbers: [HostileChange] = {
        let floats: [RawGguf.Value?] = [.nan, .infinity, -.infinity, -1, 0, 1e38, 1e-38].map { .f32($0) }
        let integers: [RawGguf.Value?] = [
            nil, .u32(0), .u32(3), .u32(.max), .i32(-1), .i32(.min), .u64(.max), .u64(1 << 31), .i64(.min), .f32(2),
            .text("2"), .integers([2, 2]), .bool(1),
        ]
        let integerKeys = [
            "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
            "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count",
            "rope.scaling.original_context_length", "attention.sliding_window", "expert_count", "vocab_size",
        ]
        let floatKeys = [
            "attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.scaling.factor", "rope.scaling.attn_factor",
            "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", "attention.scale",
            "final_logit_softcapping", "rope.freq_base_swa", "rope.scale_linear",
        ]
        let scaled = ["none", "linear", "yarn", "longrope", "x", ""].map { type in
            HostileChange("rope scaling '\(type)' with absurd numbers") { file in
                for prefix in ["llama", "qwen2"] {
                    file["\(prefix).rope.scaling.type"] = .text(type)
                    file["\(prefix).rope.scaling.factor"] = .f32(1e-30)
                    file["\(prefix).rope.scaling.yarn_beta_fast"] = .f32(-1e30)
                    file["\(prefix).rope.freq_base"] = .f32(1)
                }
            }
        }
        return integerKeys.flatMap { decoder($0, integers) }
            + floatKeys.flatMap { decoder($0, floats) } + scaled
    }()

    static let general: [HostileChange] = [
        plain(
            "general.architecture", nil, .u32(1), .text(""), .text("clip"), .text("gpt2"), .text("gemma3"),
            .text("phi3")),
        plain(
            "general.alignment", .u32(0), .u32(1), .u32(3), .u32(1 << 31), .u32(64), .u64(32), .text("32"), .f32(32),
            .integers([32])),
        plain("general.name", .u32(3), .texts([[0xFF]])),
        plain("general.file_type", .text("x"), .u32(.max)),
        plain("general.quantization_version", .text("x")),
        plain("split.count", .u16(2), .u16(.max), .text("x"), .u32(3)),
        plain("split.no", .u16(7)),
        plain("split.tensors.count", .i32(-1)),
    ].flatMap { $0 }

    static let tensors: [HostileChange] = {
        let names = ["token_embd.weight", "blk.0.attn_norm.weight", "blk.1.attn_q.weight", "output_norm.weight"]
        let types = (0..<45).flatMap { type in
            names.map { name in
                HostileChange("\(name) as type \(type)") { $0.withTensor(name) { $0.type = UInt32(type) } }
            }
        }
        let extents: [[UInt64]] = [
            [], [0], [1], [.max], [1 << 62, 4], [1, 1, 1, 1], [2, 0], [7, 3, 5, 2], [1, 2, 3, 4, 5],
        ]
        let shapes = extents.flatMap { extents in
            names.map { name in
                HostileChange("\(name) of shape \(extents)") { $0.withTensor(name) { $0.extents = extents } }
            }
        }
        let offsets: [UInt64] = [1, 32, 1 << 40, 1 << 63, .max]
        let places = offsets.flatMap { offset in
            names.map { name in
                HostileChange("\(name) at \(offset)") { $0.withTensor(name) { $0.offset = offset } }
            }
        }
        let renamed = ["", "token_embd.weight", "x\u{0}y", String(repeating: "x", count: 300)].map { new in
            HostileChange("a tensor renamed to '\(new.prefix(20))'") {
                $0.withTensor("blk.1.attn_q.weight") { $0.name = Array(new.utf8) }
            }
        }
        let quantised = HostileChange("all matrices read as 4-bit blocks") { file in
            for index in file.tensors.indices where file.tensors[index].extents.count == 2 {
                file.tensors[index].type = 2
            }
        }
        let values = [0xFF, 0x7F, 0].map { (byte: UInt8) in
            HostileChange("all weights are \(byte)") { $0.data = $0.data.map { _ in byte } }
        }
        return types + shapes + places + renamed + [quantised] + values
    }()

    static let tokenizer: [HostileChange] = {
        let lists: [RawGguf.Value?] = [
            nil, .u32(1), .text("x"), .texts([]), .texts([[0x61]]), .integers([1, 2]), .floats([1]),
            .list(of: 0, count: 3, [1, 2, 3]), .list(of: 9, count: 0, []), .list(of: 99, count: 1, [0]),
        ]
        let listKeys = ["tokens", "scores", "token_type", "merges", "suppress_tokens"].flatMap { key in
            lists.flatMap { plain("tokenizer.ggml.\(key)", $0) }
        }
        let ids: [RawGguf.Value?] = [nil, .u32(0), .u32(100_000), .u32(.max), .i32(-1), .text("1"), .u64(1 << 40)]
        let idKeys = ["bos", "eos", "eot", "unknown", "seperator", "padding", "fim_pre"].flatMap { key in
            ids.flatMap { plain("tokenizer.ggml.\(key)_token_id", $0) }
        }
        let flags = ["add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"].flatMap { key in
            plain("tokenizer.ggml.\(key)", .bool(1), .bool(0), .bool(0xFF), .u32(1), .text("true"))
        }
        let kinds = plain(
            "tokenizer.ggml.model", nil, .u32(1), .text(""), .text("gpt2"), .text("llama"), .text("bert"), .text("t5"),
            .text("rwkv"), .text("test"), .text("plamo2"), .text("gemma4"), .text("none"))
        let pre = plain(
            "tokenizer.ggml.pre", .u32(1), .text("nonsense"), .text("llama-bpe"), .text("gemma4"), .text("kimi-k2"))
        let template = plain(
            "tokenizer.chat_template", .u32(3), .text(""), .text("{% for"), .text("chatml <|im_start|>"),
            .texts([[0xFF]]), .text(String(repeating: "<|im_start|>", count: 10_000)))
        return listKeys + idKeys + flags + kinds + pre + template + tokens
    }()

    /// Tokens with every type, and texts that are no texts.
    private static let tokens: [HostileChange] = {
        let texts: [[UInt8]] = [
            [], [0], [0x61, 0, 0x62], [0xFF], [0xC3], [0xF0, 0x9F], [0x0A], Array("[EMPTY_5]".utf8), Array("<0x".utf8),
            Array("<0xZZ>".utf8), [UInt8](repeating: 0x61, count: 100_000), Array(" ".utf8), Array("<s>".utf8),
        ]
        let replaced = texts.flatMap { text in
            [0, 5, 100, 258, 262].map { index in
                HostileChange("token \(index) is \(text.prefix(8))") { file in
                    var tokens = file["tokenizer.ggml.tokens"]?.texts ?? []
                    guard index < tokens.count else { return }
                    tokens[index] = text
                    file["tokenizer.ggml.tokens"] = .texts(tokens)
                }
            }
        }
        let types = [-1, 0, 1, 2, 3, 4, 5, 6, 7, Int32.max].flatMap { type in
            [nil, 0, 3, 262].map { (only: Int?) in
                HostileChange("token \(only.map(String.init) ?? "s") of type \(type)") { file in
                    var types = file["tokenizer.ggml.token_type"]?.integers ?? []
                    for index in types.indices where only == nil || only == index { types[index] = type }
                    file["tokenizer.ggml.token_type"] = .integers(types)
                }
            }
        }
        let merges: [[UInt8]] = [[], [0x20], [0x61], [0x61, 0x20], [0x20, 0x61], [0xFF, 0x20, 0xFE], [0, 0x20]]
        let merged = merges.map { merge in
            HostileChange("merge \(merge)") { $0["tokenizer.ggml.merges"] = .texts([merge, merge]) }
        }
        let scores = [Float.nan, .infinity, -.infinity, 0].map { score in
            HostileChange("all scores \(score)") { file in
                let count = file["tokenizer.ggml.tokens"]?.texts.count ?? 0
                file["tokenizer.ggml.scores"] = .floats(Array(repeating: score, count: count))
            }
        }
        let tooMany = HostileChange("more tokens than embeddings") { file in
            let tokens = file["tokenizer.ggml.tokens"]?.texts ?? []
            file["tokenizer.ggml.tokens"] = .texts(tokens + (0..<9).map { Array("more\($0)".utf8) })
        }
        let emptyName = HostileChange("a token with the name that libllama gives an empty one") { file in
            var tokens = file["tokenizer.ggml.tokens"]?.texts ?? []
            guard tokens.count > 262 else { return }
            tokens[5] = []
            tokens[262] = Array("[EMPTY_5]".utf8)
            file["tokenizer.ggml.tokens"] = .texts(tokens)
        }
        return [emptyName] + replaced + types + merged + scores + [tooMany]
    }()

    static let all = numbers + general + tensors + tokenizer
}
