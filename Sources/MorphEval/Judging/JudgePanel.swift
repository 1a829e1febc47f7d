/// Asks a judge many questions, several at a time, none twice.
package struct JudgePanel: Sendable {
    /// What asking will take.
    package struct Estimate: Sendable, Hashable {
        /// Different questions.
        package var questions = 0
        /// Those that the cache answers.
        package var cached = 0
        /// About how many tokens the prompts of the others have.
        package var promptTokens = 0

        /// The requests that have to be made.
        package var requests: Int { questions - cached }
    }

    let judge: any Judge
    private let cache: JudgeCache

    /// Creates a panel.
    package init(judge: any Judge, cache: JudgeCache) {
        self.judge = judge
        self.cache = cache
    }

    /// What it takes to answer questions, without asking any.
    package func estimate(_ questions: [JudgeQuestion]) async -> Estimate {
        var estimate = Estimate()
        for question in Set(questions) {
            estimate.questions += 1
            if await cache.answer(of: question.key(for: judge.identity)) != nil {
                estimate.cached += 1
            } else {
                estimate.promptTokens += question.estimatedTokens
            }
        }
        return estimate
    }

    /// The answers, in the order of the questions.
    ///
    /// - Parameter progress: is told after each answer how many there are.
    /// - Throws: ``EvaluationError`` when a question cannot be answered; answers that were received are kept.
    package func answers(
        to questions: [JudgeQuestion], progress: @Sendable (_ done: Int) -> Void = { _ in }
    ) async throws -> [JudgeQuestion: String] {
        var answers: [JudgeQuestion: String] = [:]
        var waiting = ArraySlice(Set(questions))
        try await withThrowingTaskGroup(of: (JudgeQuestion, String).self) { group in
            for question in waiting.prefix(max(1, judge.concurrency)) {
                group.addTask { (question, try await self.answer(to: question)) }
            }
            waiting = waiting.dropFirst(max(1, judge.concurrency))
            while let (question, answer) = try await group.next() {
                answers[question] = answer
                progress(answers.count)
                guard let next = waiting.popFirst() else { continue }
                group.addTask { (next, try await self.answer(to: next)) }
            }
        }
        return answers
    }

    private func answer(to question: JudgeQuestion) async throws -> String {
        let key = question.key(for: judge.identity)
        if let answer = await cache.answer(of: key) { return answer }
        let answer = try await judge.answer(question)
        try await cache.store(answer, of: key, judge: judge.identity)
        return answer
    }
}
