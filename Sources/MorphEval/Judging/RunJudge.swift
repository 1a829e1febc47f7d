package import Foundation

/// Has the answers of a run judged, and writes the verdicts beside it.
package struct RunJudge: Sendable {
    let panel: JudgePanel
    let task: VerdictTask

    /// Creates a judge of runs.
    package init(panel: JudgePanel, task: VerdictTask) {
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
        let verdicts: [[JSONMember]] =
            switch task {
            case .blocks: try await blockVerdicts(lines, progress)
            case .quality(let prompt): try await grades(lines, prompt, progress)
            }
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

    private func blockVerdicts(
        _ lines: [RunLine], _ progress: @escaping @Sendable (Int, Int) -> Void
    ) async throws -> [[JSONMember]] {
        let asked = try lines.map { try task.blockQuestions($0) }
        let all = asked.flatMap { $0.flatMap(\.questions) }.map { task.question($0.prompt) }
        let total = Set(all).count
        let answers = try await panel.answers(to: all) { progress($0, total) }
        return asked.map { groups in
            groups.map { group, questions in
                let members = questions.map { question in
                    let isYes = BlockCheck.isYes(answers[task.question(question.prompt)] ?? "")
                    return JSONMember(name: String(question.number), value: .bool(isYes))
                }
                return JSONMember(name: group.rawValue, value: .object(members))
            }
        }
    }

    /// Replies that cannot be read are asked for anew, as often as the published code does.
    private func grades(
        _ lines: [RunLine], _ prompt: LongWriter.JudgePrompt, _ progress: @escaping @Sendable (Int, Int) -> Void
    ) async throws -> [[JSONMember]] {
        var grades = [[Double]?](repeating: nil, count: lines.count)
        for attempt in 0..<VerdictTask.qualityAttempts {
            let open = lines.indices.filter { grades[$0] == nil }
            guard !open.isEmpty else { break }
            let questions = try open.map { try task.qualityQuestion(prompt, lines[$0], attempt: attempt) }
            let total = Set(questions).count
            let replies = try await panel.answers(to: questions) { progress($0, total) }
            for (index, question) in zip(open, questions) {
                grades[index] = replies[question].flatMap(VerdictTask.grades(in:))
            }
        }
        return grades.map { grades in
            let members = grades.map {
                zip(VerdictTask.dimensions, $0).map { JSONMember(name: $0, value: .number($1)) }
            }
            return [JSONMember(name: "scores", value: members.map { .object($0) } ?? .null)]
        }
    }
}
