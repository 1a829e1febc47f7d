internal import CLlama
internal import Foundation
internal import Ggml

/// Refuses tokenizers on which libllama would abort: it asserts that all tokens differ, and for SentencePiece
/// vocabularies that every byte has a token to fall back to.
struct TokenizerCheck {
    private let file: GgufFile

    init(_ file: GgufFile) { self.file = file }

    func run(vocabularySize: Int) throws {
        guard let kind = try file.string("tokenizer.ggml.model") else {
            throw problem("has no tokenizer")
        }
        guard ["llama", "gpt2"].contains(kind) else {
            throw problem("has a tokenizer of kind '\(kind)'; SentencePiece (llama) and BPE (gpt2) can be used")
        }
        guard let count = try file.stringCount("tokenizer.ggml.tokens"), count > 0 else {
            throw problem("has no list of tokens")
        }
        guard count <= vocabularySize else {
            throw problem("has \(count) tokens but embeddings for \(vocabularySize)")
        }
        if let scores = try file.floatCount("tokenizer.ggml.scores"), scores < count {
            throw problem("has scores for \(scores) of its \(count) tokens")
        }
        try checkTypes(count: count)
        if kind == "gpt2", try file.stringCount("tokenizer.ggml.merges") == nil {
            throw problem("has no tokenizer.ggml.merges")
        }
        try checkTokens(needsBytes: kind == "llama")
    }

    /// libllama refuses these too, but without telling which key is wrong.
    private func checkTypes(count: Int) throws {
        if let types = try file.integers("tokenizer.ggml.token_type"), types.count < count {
            throw problem("has types for \(types.count) of its \(count) tokens")
        }
        for name in ["bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask"] {
            _ = try file.integer("tokenizer.ggml.\(name)_token_id")
        }
        for name in ["add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"] {
            _ = try file.bool("tokenizer.ggml.\(name)")
        }
        _ = try file.string("tokenizer.ggml.pre")
    }

    private func checkTokens(needsBytes: Bool) throws {
        var seen: Set<[UInt8]> = []
        var duplicate: [UInt8]?
        var index = 0
        file.forEachString("tokenizer.ggml.tokens") { bytes in
            // libllama names empty tokens so, and then they must differ from all others too.
            let token = bytes.isEmpty ? [UInt8]("[EMPTY_\(index)]".utf8) : [UInt8](bytes)
            if !seen.insert(token).inserted { duplicate = token }
            index += 1
        }
        if let duplicate { throw problem("has the token '\(String(decoding: duplicate, as: UTF8.self))' twice") }
        guard needsBytes else { return }
        for byte in UInt8.min...UInt8.max {
            let name = [UInt8](String(format: "<0x%02X>", byte).utf8)
            guard seen.contains(name) || seen.contains([byte]) else {
                throw problem("has no token for the byte \(byte)")
            }
        }
    }

    private func problem(_ what: String) -> ModelError {
        ModelError(.tokenizer, "\(file.name) \(what)")
    }
}
