/// How the answers of a benchmark are put to a judge, and what its replies mean.
package enum VerdictTask: Sendable, Hashable {
    /// LongGenBench: whether blocks mention what they have to.
    case blocks
    /// LongWriter: six grades from 1 to 5.
    case quality(LongWriter.JudgePrompt)

    /// What LongWriter grades, in the order of its code.
    package static let dimensions = [
        "Relevance", "Accuracy", "Coherence", "Clarity", "Breadth and Depth", "Reading Experience",
    ]

    /// How often the published code asks for grades until it can read the reply.
    static let qualityAttempts = 5

    /// The questions about one result, none where the judge has nothing to do.
    package func questions(about line: RunLine) throws -> [JudgeQuestion] {
        switch self {
        case .blocks:
            return try blockQuestions(line).flatMap(\.questions).map { question($0.prompt) }
        case .quality(let prompt): return [try qualityQuestion(prompt, line)]
        }
    }

    func qualityQuestion(
        _ prompt: LongWriter.JudgePrompt, _ line: RunLine, attempt: Int = 0
    ) throws -> JudgeQuestion {
        JudgeQuestion(
            prompt: prompt.prompt(
                request: try line.record.text("prompt"), response: try line.record.text("response")),
            maximumTokens: 1024, temperature: 0.5, attempt: attempt)
    }

    func question(_ prompt: String) -> JudgeQuestion {
        JudgeQuestion(prompt: prompt, maximumTokens: 50, temperature: 0)
    }

    func blockQuestions(
        _ line: RunLine
    ) throws -> [(group: LongGenBenchSample.Group, questions: [BlockQuestion])] {
        let answer = try LongGenBenchAnswer(line.record)
        return LongGenBenchSample.Group.allCases.map { group in
            (group, answer.sample.questions(group, about: answer.blocks))
        }
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
