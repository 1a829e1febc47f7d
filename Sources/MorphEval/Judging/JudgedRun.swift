package import Foundation

/// The verdicts about a run, in a file beside it: `run.judge.json` for `run.jsonl`.
package enum JudgedRun {
    /// The file of a run's verdicts.
    package static func file(of run: URL) -> URL {
        run.deletingPathExtension().appendingPathExtension("judge.json")
    }

    /// The verdicts beside a result file; nil if there are none.
    ///
    /// - Throws: ``EvaluationError`` of kind `judge` if they are about other answers.
    static func verdicts(of run: URL, lines: [RunLine]) throws -> [JSONRecord]? {
        let file = file(of: run)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let verdicts = try DataFile(file).records()
        let judged = try verdicts.map { [try $0.text("id"), try $0.text("sample"), try $0.text("response")] }
        guard judged == lines.map({ [$0.id, $0.digest, $0.responseDigest] }) else {
            throw EvaluationError(
                .judge, file: file, "it is about other answers than the run holds; judge the run again")
        }
        return verdicts
    }

    /// The numbers that verdicts on all lines give, in percent; empty where there are no verdicts.
    static func scores(
        _ verdicts: [JSONRecord], of lines: [RunLine], benchmarks: BenchmarkRegistry
    ) throws -> [EvaluationScore] {
        guard !verdicts.isEmpty, let benchmark = lines.first?.settings.benchmark,
            let judging = benchmarks[benchmark]?.judging
        else { return [] }
        return try judging.scores(verdicts)
    }
}

extension JSONRecord {
    /// Which sample of which content a verdict is about.
    func identity() throws -> String { try "\(text("id")) \(text("sample"))" }
}

extension RunLine {
    /// Which sample of which content it is of.
    var identity: String { "\(id) \(digest)" }

    /// A digest of what the model answered.
    var responseDigest: String {
        let answers = EvaluationSample.AnswerField.allCases.compactMap { record.value[$0.rawValue] }
        return String(SHA256.hexadecimal(of: JSONValue.array(answers).line).prefix(16))
    }
}
