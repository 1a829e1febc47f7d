/// A context and the questions about it, the form into which KVzip brings all its tasks.
public struct SharedContextSample: Sendable, Hashable {
    /// One question.
    public struct Question: Sendable, Hashable {
        /// The question.
        public let text: String
        /// The answers that count as right.
        public let answers: [String]
        /// The kind of question, where a task mixes several.
        public let task: String?
        /// The name of the function that is asked for, in tasks on source code.
        public let functionName: String?

        init(_ text: String, answers: [String], task: String? = nil, functionName: String? = nil) {
            self.text = text
            self.answers = answers
            self.task = task
            self.functionName = functionName
        }
    }

    /// The text that all questions are about.
    public let context: String
    /// The questions, in order.
    public let questions: [Question]
    /// The programming language of the context, in tasks on source code.
    public let language: String?

    init(context: String, questions: [Question], language: String? = nil) {
        self.context = context
        self.questions = questions
        self.language = language
    }
}

/// How KVzip words its prompts (`model/template.py`, `data/wrapper.py`, `utils/func.py` of snu-mllab/KVzip).
public enum SharedContextPrompt {
    /// What comes before the context.
    public static func instruction(task: String) -> String {
        task.hasPrefix("gsm")
            ? "Given the context, answer to the following reasoning question.\n\n"
            : "Given the context, answer to the following question or request without explanation.\n\n"
    }

    /// What comes after the context.
    public static func query(_ question: String, task: String) -> String {
        guard task.contains("gsm") else { return "Q: \(question)" }
        return "Reason and answer the question. You must say the answer in the last sentence beginning with "
            + "'The answer is'. Q: \(question)"
    }

    /// The number of tokens to generate at most.
    public static func maximumNewTokens(task: String) -> Int {
        if task == "needle" || task.contains("_mf") { return 32 }
        if task == "squad" || task.contains("summary") { return 256 }
        if task.contains("gsm") || task.contains("repoqa") { return 512 }
        return 96
    }
}
