public import Foundation

/// One writing task of LongWriter (arXiv 2408.07055).
public struct LongWriterSample: Sendable, Hashable {
    /// The request.
    public let prompt: String
    /// What kind of text is asked for.
    public let type: String
    /// The requested length in words or, in Chinese, characters.
    public let length: Int

    /// The number of tokens that MorphKV's `pred.py` generates at most.
    public var maximumNewTokens: Int { min(32_768, 2 * length) }
}

/// LongWriter's benchmark files, in `evaluation` of THUDM/LongWriter.
public enum LongWriter {
    /// The parts of the benchmark.
    public enum Part: String, Sendable, Hashable, CaseIterable, Codable {
        /// LongBench-Write: 120 requests in English and Chinese.
        case write = "longbench_write"
        /// Its English half.
        case writeEnglish = "longbench_write_en"
        /// LongWrite-Ruler: the same requests at growing lengths.
        case ruler = "longwrite_ruler"
    }

    /// Reads the requests.
    ///
    /// - Parameters:
    ///   - url: A clone of the repository, its `evaluation` folder, or a file.
    ///   - part: Which file of a folder.
    public static func samples(at url: URL, part: Part = .write) throws -> [LongWriterSample] {
        let name = "\(part.rawValue).jsonl"
        let file = try BenchmarkFolder.file(["evaluation/\(name)", name], at: url)
        return try DataFile(file).lines().map { record in
            try LongWriterSample(
                prompt: record.text("prompt"), type: record.text("type"), length: record.integer("length"))
        }
    }

    /// Reads the prompt of the judge.
    ///
    /// - Parameter url: A clone of the repository, its `evaluation` folder, or a file.
    public static func judgePrompt(at url: URL) throws -> JudgePrompt {
        let file = try BenchmarkFolder.file(["evaluation/judge.txt", "judge.txt"], at: url)
        do {
            return try JudgePrompt(template: String(contentsOf: file, encoding: .utf8))
        } catch {
            throw EvaluationError(.file, file: file, "it cannot be read as UTF-8 text")
        }
    }

    /// The question that asks a judge about the quality of a response, with gaps for both.
    public struct JudgePrompt: Sendable, Hashable {
        /// The text with the gaps `$INST$` and `$RESPONSE$`.
        public let template: String

        /// The prompt about one response; as in `eval_quality.py`, the request is filled in first.
        public func prompt(request: String, response: String) -> String {
            let asked = CodePoints(template).split(separator: "$INST$").map(\.string).joined(separator: request)
            return CodePoints(asked).split(separator: "$RESPONSE$").map(\.string).joined(separator: response)
        }
    }
}
