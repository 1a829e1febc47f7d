public import Foundation

/// A needle in a haystack: one sentence hidden at a depth of a long text, as KVzip does it (`data/needle/data.py`,
/// adapted from FranxYao/Long-Context-Data-Engineering).
public struct NeedleHaystack: Sendable {
    /// What is hidden, asked and expected.
    public struct Needle: Sendable, Hashable {
        /// The hidden text.
        public var text: String
        /// The question.
        public var question: String
        /// The answer.
        public var answer: String

        /// Creates a needle; by default the one of the published runs.
        public init(
            text: String =
                "\nThe best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.\n",
            question: String =
                "Based on the content of the book, the best thing to do in San Francisco is: ",
            answer: String = "Eat a sandwich and sit in Dolores Park on a sunny day."
        ) {
            self.text = text
            self.question = question
            self.answer = answer
        }
    }

    private let hay: [Int32]
    private let needle: Needle
    private let codec: TokenCodec
    /// A digest of the text that the haystacks are cut from.
    let textDigest: String

    /// Reads a haystack.
    ///
    /// - Parameters:
    ///   - folder: A folder of `.txt` files, taken in the order of their names and repeated as often as needed; the
    ///     published code takes them in the order of the file system.
    ///   - maximumLength: The longest context that will be asked for, in tokens.
    ///   - needle: What to hide.
    ///   - codec: The model's tokenizer, without special tokens.
    public init(folder: URL, maximumLength: Int, needle: Needle = Needle(), codec: TokenCodec) throws {
        try self.init(text: Self.text(of: folder), maximumLength: maximumLength, needle: needle, codec: codec)
    }

    /// Takes a text as haystack.
    public init(text: String, maximumLength: Int, needle: Needle = Needle(), codec: TokenCodec) throws {
        guard try !codec.encode(text).isEmpty else { throw EvaluationError(.format, "the haystack is empty") }
        var content = text
        var tokens = try codec.encode(content)
        while tokens.count < maximumLength {
            content += text
            tokens = try codec.encode(content)
        }
        hay = tokens
        textDigest = SHA256.hexadecimal(of: text)
        self.needle = needle
        self.codec = codec
    }

    /// The context of a length with the needle at a depth, its question and its answer.
    ///
    /// - Parameters:
    ///   - length: The tokens of the context, the needle included.
    ///   - depth: Where the needle goes, in percent; moved back to the nearest end of a sentence.
    public func sample(length: Int, depth: Double) throws -> SharedContextSample {
        // Decoding and encoding again is how the published code cuts, and need not give the same tokens back.
        let trimmed = try codec.encode(codec.decode(Array(hay.prefix(length))))
        let needleTokens = try codec.encode(needle.text)
        let isTooLong = trimmed.count + needleTokens.count > length
        let tokens = isTooLong ? Array(trimmed.prefix(max(0, length - needleTokens.count))) : trimmed

        let place = try insertionPoint(in: tokens, depth: depth)
        let context = try codec.decode(tokens[..<place] + needleTokens + tokens[place...])
        return SharedContextSample(
            context: CodePoints(context).trimmed().string,
            questions: [.init(needle.question, answers: [needle.answer])])
    }

    private func insertionPoint(in tokens: [Int32], depth: Double) throws -> Int {
        guard depth < 100 else { return tokens.count }
        let stops = try Set(codec.encode(".") + codec.encode(".\n"))
        var place = Int(Double(tokens.count) * (depth / 100))
        while place > 0, !stops.contains(tokens[place - 1]) { place -= 1 }
        return place
    }

    private static func text(of folder: URL) throws -> String {
        let files: [URL]
        do {
            files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                .filter { $0.pathExtension == "txt" }
                .sorted { $0.lastPathComponent < $1.lastPathComponent }
        } catch {
            throw EvaluationError(.file, file: folder, "it is not a folder that can be read")
        }
        guard !files.isEmpty else { throw EvaluationError(.file, file: folder, "it holds no .txt files") }
        return try files.map { file in
            guard let text = try? String(contentsOf: file, encoding: .utf8) else {
                throw EvaluationError(.file, file: file, "it cannot be read as UTF-8 text")
            }
            return text
        }.joined()
    }
}
