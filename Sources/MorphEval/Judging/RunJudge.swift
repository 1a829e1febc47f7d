package import Foundation

/// Has the answers of a run judged, and writes the verdicts beside it.
package struct RunJudge: Sendable {
    let panel: JudgePanel
    let task: any VerdictTask

    /// Creates a judge of runs.
    package init(panel: JudgePanel, task: any VerdictTask) {
        self.panel = panel
        self.task = task
    }

    /// The results of a file.
    package static func lines(of run: URL) throws -> [RunLine] { try DataFile(run).lines().map(RunLine.init) }

    /// Judges every result of a file and replaces its verdicts.
    ///
    /// - Parameter progress: is told after each answer how many there are, and the number of questions.
    package func judge(
        _ run: URL, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async throws {
        let lines = try Self.lines(of: run)
        let verdicts = try await task.verdicts(on: lines, by: panel, progress: progress)
        let text = zip(lines, verdicts).map { line, verdict in
            let start = [JSONMember]([
                "id": .string(line.id), "sample": .string(line.digest), "response": .string(line.responseDigest),
                "judge": .string(panel.judge.identity),
            ])
            return JSONValue.object(start + verdict).line
        }.joined(separator: ",\n")
        let file = JudgedRun.file(of: run)
        do {
            try Data("[\n\(text)\n]\n".utf8).write(to: file, options: .atomic)
        } catch {
            throw EvaluationError(.file, file: file, "it cannot be written")
        }
    }
}
