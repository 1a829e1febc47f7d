import Foundation
import MorphKV
import TestSupport
import Testing

@Suite struct TextStreamTests {
    @Test(
        "pieces are valid UTF-8 and join to the whole text, wherever it is cut",
        arguments: [
            "", "plain", "naïve", "東京タワー", "🙂🙃", "a🙂b東c", "e\u{301}x", "\r\n\u{0}",
        ])
    func piecesJoinToTheText(_ text: String) {
        var random = SplitMix64(seed: 5)
        for _ in 0..<20 {
            var stream = TextStream()
            var bytes = Array(text.utf8)
            var joined = ""
            while !bytes.isEmpty {
                let count = Int(random.next() % 3) + 1
                let piece = stream.append(Array(bytes.prefix(count)))
                #expect(!piece.unicodeScalars.contains("\u{FFFD}"))
                joined += piece
                bytes.removeFirst(min(count, bytes.count))
            }
            #expect(joined + stream.finish() == text)
        }
    }

    @Test func bytesThatNeverBecomeACharacterAreReplaced() {
        var stream = TextStream()
        #expect(stream.append([0x61, 0xE6, 0x9D]) == "a")
        #expect(stream.finish() == "\u{FFFD}")
        #expect(stream.append([0xFF, 0x62]) == "\u{FFFD}b")
    }

    @Test("a stop string never appears, not even in part, however it is cut", arguments: 1...6)
    func stopStringsNeverAppear(_ size: Int) {
        let text = Array("one ## two ###END three".utf8)
        var stream = TextStream(stops: ["###END", "never"])
        var result = ""
        for start in stride(from: 0, to: text.count, by: size) {
            result += stream.append(Array(text[start..<min(start + size, text.count)]))
            #expect("one ## two ".hasPrefix(result))
        }
        #expect(stream.isStopped && result + stream.finish() == "one ## two ")
    }

    @Test func theBeginningOfAStopStringIsReleasedAtTheEnd() {
        var stream = TextStream(stops: ["abc"])
        #expect(stream.append(Array("xab".utf8)) == "x")
        #expect(stream.append(Array("d".utf8)) == "abd")
        #expect(stream.append(Array("ab".utf8)) == "")
        #expect(stream.finish() == "ab")
    }
}

/// The vocabularies that llama.cpp's own tests use; scripts/bootstrap keeps them.
@Suite(.enabled(if: !Vocabularies.files.isEmpty, "llama.cpp's vocabularies are not in .deps/share/vocabularies"))
struct VocabularyTests {
    @Test("text survives encoding and decoding", arguments: Vocabularies.files)
    func textRoundTrips(_ url: URL) throws {
        let tokenizer = try Tokenizer(contentsOf: url)
        for text in [
            "Hello, world!", "  two  spaces", "tabs\tand\nlines", "naïve café 東京 🙂", "3.14159 (x_1)",
            "\u{1F468}\u{200D}\u{1F4BB}",
        ] {
            let tokens = tokenizer.encode(text, addSpecial: false)
            #expect(!tokens.isEmpty && tokens.allSatisfy(tokenizer.contains))
            // SentencePiece puts a space before the text.
            let decoded = tokenizer.decode(tokens)
            #expect(decoded == text || decoded == " " + text, "\(url.lastPathComponent): \(decoded)")
        }
        #expect(tokenizer.encode("", addSpecial: false).isEmpty)
    }

    @Test("libllama's own expected token ids come out", arguments: Vocabularies.files)
    func tokensAreTheExpectedOnes(_ url: URL) throws {
        guard let input = try? String(contentsOf: URL(fileURLWithPath: url.path + ".inp"), encoding: .utf8),
            let output = try? String(contentsOf: URL(fileURLWithPath: url.path + ".out"), encoding: .utf8)
        else { return }
        let tokenizer = try Tokenizer(contentsOf: url)
        let texts = input.components(separatedBy: "\n__ggml_vocab_test__\n")
        let expected = output.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: " ").compactMap { Token($0) }
        }
        for (text, tokens) in zip(texts, expected) {
            #expect(tokenizer.encode(text, addSpecial: false) == tokens, "\(text.debugDescription)")
        }
    }
}

enum Vocabularies {
    static let files: [URL] = {
        let folder = Fixtures.root.appending(path: ".deps/share/vocabularies")
        // Of the kinds that the supported architectures use.
        return ["llama-spm", "llama-bpe", "qwen2", "phi-3", "gpt-2", "deepseek-llm", "starcoder"]
            .map { folder.appendingPathComponent("ggml-vocab-\($0).gguf") }
            .filter { FileManager.default.fileExists(atPath: $0.path) }
    }()
}
