extension BenchmarkJudging {
    /// LongWriter's grades from 1 to 5 as percent; results that the judge gave no grades do not count, as published.
    static let longWriter = BenchmarkJudging(
        missingData: "LongWriter's judge needs --data, a clone of its repository or its judge.txt"
    ) { data in
        guard let data else { throw EvaluationError(.judge, "LongWriter's judge needs the benchmark's judge.txt") }
        return QualityVerdicts(prompt: try LongWriter.judgePrompt(at: data))
    } scores: { verdicts in
        let judged = verdicts.filter { $0.has("scores") }
        let (ids, graded) = (try judged.map { try $0.identity() }, try judged.map { try $0.record("scores") })
        let dimensions = try QualityVerdicts.dimensions.map { name in
            (name, try graded.map { 25 * (try $0.double(name) - 1) })
        }
        let means = graded.indices.map { index in
            dimensions.reduce(0) { $0 + $1.1[index] } / Double(dimensions.count)
        }
        return dimensions.map { EvaluationScore($0.0, values: $0.1, ids: ids) }
            + [EvaluationScore("quality", values: means, ids: ids)]
    }
}

/// LongWriter: six grades from 1 to 5.
package struct QualityVerdicts: VerdictTask {
    /// What LongWriter grades, in the order of its code.
    package static let dimensions = [
        "Relevance", "Accuracy", "Coherence", "Clarity", "Breadth and Depth", "Reading Experience",
    ]

    /// How often the published code asks for grades until it can read the reply.
    private static let attempts = 5

    private let prompt: LongWriter.JudgePrompt

    /// Takes the benchmark's prompt.
    package init(prompt: LongWriter.JudgePrompt) { self.prompt = prompt }

    package func questions(about line: RunLine) throws -> [JudgeQuestion] { [try question(line, attempt: 0)] }

    /// Replies that cannot be read are asked for anew, as often as the published code does.
    package func verdicts(
        on lines: [RunLine], by panel: JudgePanel, progress: @escaping @Sendable (Int, Int) -> Void
    ) async throws -> [[JSONMember]] {
        var grades = [[Double]?](repeating: nil, count: lines.count)
        for attempt in 0..<Self.attempts {
            let open = lines.indices.filter { grades[$0] == nil }
            guard !open.isEmpty else { break }
            let questions = try open.map { try question(lines[$0], attempt: attempt) }
            let total = Set(questions).count
            let replies = try await panel.answers(to: questions) { progress($0, total) }
            for (index, question) in zip(open, questions) {
                grades[index] = replies[question].flatMap(Self.grades(in:))
            }
        }
        return grades.map { grades in
            let members = grades.map { zip(Self.dimensions, $0).map { JSONMember(name: $0, value: .number($1)) } }
            return [JSONMember(name: "scores", value: members.map { .object($0) } ?? .null)]
        }
    }

    private func question(_ line: RunLine, attempt: Int) throws -> JudgeQuestion {
        JudgeQuestion(
            prompt: prompt.prompt(
                request: try line.record.text("prompt"), response: try line.record.text("response")),
            maximumTokens: 1024, temperature: 0.5, attempt: attempt)
    }

    /// The six grades of a reply: a JSON object, alone or in a code block, as LongWriter's `eval_quality.py` reads it.
    ///
    /// - Returns: `nil` if the reply cannot be read or lacks a grade.
    package static func grades(in reply: String) -> [Double]? {
        let text = CodePoints(reply)
        var json = text
        let opening: CodePoints = "```json\n"
        if let start = text.firstRange(of: opening, from: text.scalars.startIndex) {
            guard let end = text.firstRange(of: "\n```", from: start.upperBound) else { return nil }
            json = CodePoints(slice: text.scalars[start.upperBound..<end.lowerBound])
        }
        let bytes = Array(json.removing { $0 == "\n" }.string.utf8)
        guard let value = bytes.withUnsafeBufferPointer({ try? JSONParser.parse($0) }) else { return nil }
        let grades = dimensions.compactMap { name in
            value[name].flatMap { $0.double ?? $0.text.flatMap { Double($0) } }
        }
        return grades.count == dimensions.count && grades.allSatisfy(\.isFinite) ? grades : nil
    }
}
