extension BenchmarkJudging {
    /// LongGenBench's accuracies: the share of yes in each group over all samples, and the mean of the three.
    static let longGenBench = BenchmarkJudging(missingData: nil) { _ in
        BlockVerdicts()
    } scores: { verdicts in
        let groups = try LongGenBenchSample.Group.allCases.map { group in
            let shares = try verdicts.map { verdict in
                let answers = try verdict.object(group.rawValue)
                let share = LongGenBenchAccuracy.share(answers.map { $0.value == .bool(true) })
                return EvaluationScore.Share(sum: 100 * share.sum, weight: share.weight)
            }
            return (name: "accuracy_\(group.rawValue)", shares: shares)
        }
        let ids = try verdicts.map { try $0.identity() }
        return groups.map { EvaluationScore($0.name, groups: [$0.shares], ids: ids) }
            + [EvaluationScore("accuracy", groups: groups.map(\.shares), ids: ids)]
    }
}

/// LongGenBench: whether blocks mention what they have to.
package struct BlockVerdicts: VerdictTask {
    /// Creates the task.
    package init() {}

    package func questions(about line: RunLine) throws -> [JudgeQuestion] {
        try blockQuestions(line).flatMap(\.questions).map { question($0.prompt) }
    }

    package func verdicts(
        on lines: [RunLine], by panel: JudgePanel, progress: @escaping @Sendable (Int, Int) -> Void
    ) async throws -> [[JSONMember]] {
        let asked = try lines.map(blockQuestions)
        let all = asked.flatMap { $0.flatMap(\.questions) }.map { question($0.prompt) }
        let total = Set(all).count
        let answers = try await panel.answers(to: all) { progress($0, total) }
        return asked.map { groups in
            groups.map { group, questions in
                let members = questions.map { block in
                    let isYes = LongGenBenchCheck.isYes(answers[question(block.prompt)] ?? "")
                    return JSONMember(name: String(block.number), value: .bool(isYes))
                }
                return JSONMember(name: group.rawValue, value: .object(members))
            }
        }
    }

    private func question(_ prompt: String) -> JudgeQuestion {
        JudgeQuestion(prompt: prompt, maximumTokens: 50, temperature: 0)
    }

    private func blockQuestions(
        _ line: RunLine
    ) throws -> [(group: LongGenBenchSample.Group, questions: [LongGenBenchQuestion])] {
        let answer = try LongGenBenchAnswer(line.record)
        return LongGenBenchSample.Group.allCases.map { group in
            (group, answer.sample.questions(group, about: answer.blocks))
        }
    }
}
