import Foundation
import Ggml
import MorphKV
import TestSupport

/// Small models with random weights and a tokenizer of their own, for tests that need one everywhere.
enum SmallVocabularies {
    /// A model with a SentencePiece vocabulary: three control tokens, all bytes, some pieces.
    static func sentencePiece(_ architecture: String = "llama") throws -> RawGguf {
        let controls = ["<unk>", "<s>", "</s>"].map { Array($0.utf8) }
        let bytes = (0..<256).map { Array(String(format: "<0x%02X>", $0).utf8) }
        let pieces = ["▁", "▁O", "n", "ce", "▁u", "pon", "▁a", "▁ti", "me", "▁Once"].map { Array($0.utf8) }
        let types: [Int32] = [2, 3, 3] + bytes.map { _ in 6 } + pieces.map { _ in 1 }
        return try model(architecture, tokens: controls + bytes + pieces) { file in
            file["tokenizer.ggml.model"] = .text("llama")
            file["tokenizer.ggml.scores"] = .floats(types.indices.map { -Float($0) })
            file["tokenizer.ggml.token_type"] = .integers(types)
            file["tokenizer.ggml.bos_token_id"] = .u32(1)
            file["tokenizer.ggml.eos_token_id"] = .u32(2)
            file["tokenizer.ggml.add_bos_token"] = .bool(1)
        }
    }

    /// A Qwen 2 with a byte-pair vocabulary: all bytes, some merges, one control token.
    static func bytePair() throws -> RawGguf {
        let bytes = (0..<256).map { Array(String(visible(UInt8($0))).utf8) }
        let merges = ["O n", "c e", "On ce", "Ġ u", "p o", "po n"].map { Array($0.utf8) }
        let merged = merges.map { $0.filter { $0 != UInt8(ascii: " ") } }
        let tokens = bytes + merged + [Array("<|im_end|>".utf8)]
        return try model("qwen2", tokens: tokens) { file in
            file["tokenizer.ggml.model"] = .text("gpt2")
            file["tokenizer.ggml.pre"] = .text("qwen2")
            file["tokenizer.ggml.merges"] = .texts(merges)
            file["tokenizer.ggml.token_type"] = .integers(tokens.indices.map { $0 == tokens.count - 1 ? 3 : 1 })
            file["tokenizer.ggml.bos_token_id"] = .u32(UInt32(tokens.count - 1))
            file["tokenizer.ggml.eos_token_id"] = .u32(UInt32(tokens.count - 1))
        }
    }

    private static func model(
        _ architecture: String, tokens: [[UInt8]], _ setTokenizer: (inout RawGguf) -> Void
    ) throws -> RawGguf {
        var shape = TestModels.shape(architecture)
        shape.vocabulary = tokens.count
        let url = try TestModels.url(shape)
        defer { try? FileManager.default.removeItem(at: url) }
        var file = RawGguf(parsing: [UInt8](try Data(contentsOf: url)))
        file["tokenizer.ggml.tokens"] = .texts(tokens)
        setTokenizer(&file)
        return file
    }

    /// The character that stands for a byte in byte-pair vocabularies (Radford et al., GPT-2).
    private static func visible(_ byte: UInt8) -> Unicode.Scalar {
        func isVisible(_ byte: UInt8) -> Bool { (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174 }
        if isVisible(byte) { return Unicode.Scalar(byte) }
        let before = (0..<byte).count { !isVisible($0) }
        return Unicode.Scalar(256 + UInt32(before))!
    }
}
