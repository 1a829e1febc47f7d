/// Someone who answers questions about what a model wrote.
package protocol Judge: Sendable {
    /// What tells it apart from other judges; cached answers belong to it.
    var identity: String { get }
    /// How many questions it answers at a time.
    var concurrency: Int { get }
    /// Answers one question.
    ///
    /// - Throws: ``EvaluationError`` of kind `judge` when there is no answer to be had.
    func answer(_ question: JudgeQuestion) async throws -> String
}

/// A question for a judge.
package struct JudgeQuestion: Sendable, Hashable {
    /// The whole prompt.
    package let prompt: String
    /// The number of tokens that the answer may have.
    package let maximumTokens: Int
    /// How random the answer is.
    package let temperature: Float
    /// How often it was asked before because the answer could not be used.
    package var attempt = 0

    /// Creates a question.
    package init(prompt: String, maximumTokens: Int, temperature: Float, attempt: Int = 0) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
        self.temperature = temperature
        self.attempt = attempt
    }

    /// The name under which a judge's answer is kept.
    func key(for judge: String) -> String {
        let parts: [JSONValue] = [
            .string(judge), .string(prompt), .integer(maximumTokens), .number(Double(temperature)), .integer(attempt),
        ]
        return SHA256.hexadecimal(of: JSONValue.array(parts).line)
    }

    /// About how many tokens the prompt has: a quarter of its ASCII characters, and every other character.
    package var estimatedTokens: Int {
        let ascii = prompt.unicodeScalars.count(where: \.isASCII)
        return (ascii + 3) / 4 + (prompt.unicodeScalars.count - ascii)
    }
}
