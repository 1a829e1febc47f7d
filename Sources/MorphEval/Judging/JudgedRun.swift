package import Foundation

/// The verdicts about a run, in a file beside it: `run.judge.json` for `run.jsonl`.
package enum JudgedRun {
    /// The file of a run's verdicts.
    package static func file(of run: URL) -> URL {
        run.deletingPathExtension().appendingPathExtension("judge.json")
    }

    /// The numbers that verdicts give, in percent; empty where there are no verdicts.
    ///
    /// - Throws: ``EvaluationError`` of kind `judge` if the verdicts are about other answers.
    package static func scores(
        of run: URL, lines: [RunLine], benchmarks: BenchmarkRegistry = .standard
    ) throws -> [EvaluationScore] {
        let file = file(of: run)
        guard FileManager.default.fileExists(atPath: file.path) else { return [] }
        let verdicts = try DataFile(file).records()
        let judged = try verdicts.map { [try $0.text("id"), try $0.text("sample"), try $0.text("response")] }
        guard judged == lines.map({ [$0.id, $0.digest, $0.responseDigest] }) else {
            throw EvaluationError(
                .judge, file: file, "it is about other answers than the run holds; judge the run again")
        }
        guard let benchmark = lines.first?.settings.benchmark, let judging = benchmarks[benchmark]?.judging else {
            return []
        }
        return try judging.scores(verdicts)
    }
}

extension RunLine {
    /// A digest of what the model answered.
    var responseDigest: String {
        let answers = EvaluationSample.AnswerField.allCases.compactMap { record.value[$0.rawValue] }
        return String(SHA256.hexadecimal(of: JSONValue.array(answers).line).prefix(16))
    }
}
