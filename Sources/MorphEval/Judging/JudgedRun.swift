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
    package static func measures(of run: URL, lines: [RunLine]) throws -> [Measure] {
        let file = file(of: run)
        guard FileManager.default.fileExists(atPath: file.path) else { return [] }
        let verdicts = try DataFile(file).records()
        let judged = try verdicts.map { [try $0.text("id"), try $0.text("sample"), try $0.text("response")] }
        guard judged == lines.map({ [$0.id, $0.digest, $0.responseDigest] }) else {
            throw EvaluationError(
                .judge, file: file, "it is about other answers than the run holds; judge the run again")
        }
        guard let first = verdicts.first else { return [] }
        return try first.value["scores"] != nil ? quality(verdicts) : accuracies(verdicts)
    }

    /// LongGenBench: the share of yes in each group over all samples, and the mean of the three.
    private static func accuracies(_ verdicts: [JSONRecord]) throws -> [Measure] {
        let groups = try LongGenBenchSample.Group.allCases.map { group in
            let shares = try verdicts.map { verdict in
                let answers = try verdict.object(group.rawValue)
                return Measure.Share(
                    sum: 100 * Double(answers.count { $0.value == .bool(true) }), weight: Double(answers.count))
            }
            return (name: "accuracy_\(group.rawValue)", shares: shares)
        }
        return groups.map { Measure($0.name, groups: [$0.shares]) }
            + [Measure("accuracy", groups: groups.map(\.shares))]
    }

    /// LongWriter: grades from 1 to 5 as percent; results that the judge gave no grades do not count, as published.
    private static func quality(_ verdicts: [JSONRecord]) throws -> [Measure] {
        let graded = try verdicts.filter { $0.has("scores") }.map { try $0.record("scores") }
        let dimensions = try VerdictTask.dimensions.map { name in
            (name, try graded.map { 25 * (try $0.double(name) - 1) })
        }
        let means = graded.indices.map { index in
            dimensions.reduce(0) { $0 + $1.1[index] } / Double(dimensions.count)
        }
        return dimensions.map { Measure($0.0, values: $0.1) } + [Measure("quality", values: means)]
    }
}

extension RunLine {
    /// A digest of what the model answered.
    var responseDigest: String {
        let answers = EvaluationSample.AnswerField.allCases.compactMap { record.value[$0.rawValue] }
        return String(SHA256.hexadecimal(of: JSONValue.array(answers).line).prefix(16))
    }
}
