import Foundation
import Ggml
import MorphKV

/// A model file that is damaged in one place at a time and used as far as it lets itself be used.
final class HostileFile {
    enum Outcome: Equatable {
        /// It was refused, with that explanation.
        case refused(String)
        /// It could be loaded and used; the results may be garbage.
        case ran
    }

    let url: URL
    private let handle: FileHandle
    private let original: [UInt8]

    init(_ bytes: [UInt8], in folder: URL) throws {
        url = folder.appendingPathComponent("\(UUID().uuidString).gguf")
        original = bytes
        try Data(bytes).write(to: url)
        handle = try FileHandle(forUpdating: url)
    }

    deinit {
        try? handle.close()
        try? FileManager.default.removeItem(at: url)
    }

    /// Replaces one byte, uses the file and puts the byte back.
    func outcome(replacing offset: Int, by byte: UInt8) async throws -> Outcome {
        try put(byte, at: offset)
        let outcome = try await Self.use(url)
        try put(original[offset], at: offset)
        return outcome
    }

    /// Cuts the file off and uses it.
    func outcome(truncatedTo count: Int) async throws -> Outcome {
        try handle.truncate(atOffset: UInt64(count))
        let outcome = try await Self.use(url)
        try handle.seek(toOffset: UInt64(count))
        try handle.write(contentsOf: original[count...])
        return outcome
    }

    private func put(_ byte: UInt8, at offset: Int) throws {
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: [byte])
    }

    /// Loads a model and does a little of everything with it.
    ///
    /// - Throws: what is not an error of ours with an explanation.
    static func use(_ url: URL) async throws -> Outcome {
        do {
            let model = try Model(contentsOf: url)
            let tokens = (0..<5).map { Token($0 * 7 % model.description.vocabularySize) }
            let engine = try Engine(model, .morphKV(capacity: 6, window: 2), threads: 1)
            try engine.prefill(tokens)
            for token in tokens { try engine.decode(token) }
            if let tokenizer = model.tokenizer { use(tokenizer) }
            let session = try Session(model, threads: 1)
            let sampling = SamplingOptions(temperature: 0.8, repetitionPenalty: 1.1, seed: 1)
            let options = GenerationOptions(maxTokens: 2, sampling: sampling, ignoresEndOfText: true)
            for try await _ in session.generate(tokens: tokens, options: options) {}
            return .ran
        } catch let error as GgmlError {
            return .refused(error.description)
        } catch let error as ModelError {
            return .refused(error.description)
        } catch let error as CacheError {
            return .refused(error.description)
        } catch let error as GenerationError {
            return .refused(error.description)
        }
    }

    private static func use(_ tokenizer: Tokenizer) {
        let tokens = tokenizer.encode("Once upon a time,\n\u{0}naïve <s> 🦊 123", parseSpecial: true)
        _ = tokenizer.decode(tokens, special: true)
        for token in -1...Token(tokenizer.vocabularySize) {
            _ = tokenizer.bytes(of: token, special: true)
            _ = tokenizer.endsGeneration(token)
        }
        _ = tokenizer.beginOfText
        _ = try? tokenizer.applyChatTemplate([.init(role: "user", content: "hello")])
    }
}
