/// One thing that a model is asked: the prompt, and what is written into the result beside the answer.
package struct EvaluationSample: Sendable {
    /// Where the answers go in the result line, as `morphkv score` reads them.
    package enum AnswerField: String, Sendable, CaseIterable {
        /// One answer in `pred`.
        case prediction = "pred"
        /// One answer in `response`.
        case response
        /// A list of answers, one for each question, in `preds`.
        case predictions = "preds"
    }

    /// Its name, unique within a run.
    package let id: String
    /// What the model reads.
    package let prompt: EvaluationPrompt
    /// The number of tokens that the benchmark lets a model write at most, for each question.
    package let maximumNewTokens: Int
    /// Whether the answer ends with its first line that is not empty.
    package var endsAfterLine = false
    /// Where the answers go.
    package let answerField: AnswerField
    /// What else the result line holds.
    package let fields: [JSONMember]
    /// A digest of what is asked, which does not depend on the model: runs with equal digests can be compared.
    package let digest: String

    /// Creates a sample.
    ///
    /// - Parameter identity: What tells the sample apart from others, where the prompt depends on the model's
    ///   tokenizer; by default the prompt.
    package init(
        id: String, prompt: EvaluationPrompt, maximumNewTokens: Int, endsAfterLine: Bool = false,
        answerField: AnswerField, fields: [JSONMember], identity: [String]? = nil
    ) {
        self.id = id
        self.prompt = prompt
        self.maximumNewTokens = maximumNewTokens
        self.endsAfterLine = endsAfterLine
        self.answerField = answerField
        self.fields = fields
        let identity = JSONValue(identity ?? [prompt.instruction + (prompt.context ?? "")] + prompt.questions)
        let whole = JSONValue.array([identity, .object(fields)])
        digest = String(SHA256.hexadecimal(of: whole.line).prefix(16))
    }
}

/// What a model reads: one text, or a context that enters the cache first and questions about it.
package struct EvaluationPrompt: Sendable, Hashable {
    /// The system message, where the benchmark has one.
    package var system: String?
    /// What comes before the context, where there is one; it is never cut.
    package var instruction = ""
    /// What all questions are about. The cache is cut by what the policy makes of the context alone, before it sees a
    /// question, as KVzip measures it.
    package var context: String?
    /// The questions, each asked after the context as if it were the only one; without a context one whole prompt.
    package var questions: [String]
    /// Whether the prompt is put into the model's chat template, unless the user leaves it out.
    package var usesChatTemplate: Bool
    /// What follows a question where no chat template does.
    package var rawEnding = ""

    /// One text.
    package init(_ text: String, usesChatTemplate: Bool) {
        questions = [text]
        self.usesChatTemplate = usesChatTemplate
    }

    /// A context with its questions in KVzip's wording.
    package init(_ sample: SharedContextSample, task: String) {
        system = "You are a helpful assistant"
        instruction = SharedContextPrompt.instruction(task: task)
        context = sample.context
        questions = sample.questions.map {
            "\n\n" + CodePoints(SharedContextPrompt.query($0.text, task: task)).trimmed().string
        }
        usesChatTemplate = true
        rawEnding = "\n\nAnswer: "
    }
}
