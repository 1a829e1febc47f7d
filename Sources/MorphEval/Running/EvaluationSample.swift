/// One thing that a model is asked: the prompt, and what is written into the result beside the answer.
public struct EvaluationSample: Sendable {
    /// Where the answers go in the result line, as `morphkv score` reads them.
    public enum AnswerField: String, Sendable, CaseIterable {
        /// One answer in `pred`.
        case prediction = "pred"
        /// One answer in `response`.
        case response
        /// A list of answers, one for each question, in `preds`.
        case predictions = "preds"
    }

    /// Its name, unique within a run.
    public private(set) var id: String
    /// What the model reads.
    public let prompt: EvaluationPrompt
    /// The number of tokens that the benchmark lets a model write at most, for each question.
    public let maximumNewTokens: Int
    /// Whether the answer ends with its first line that is not empty.
    public var endsAfterLine = false
    /// Where the answers go.
    public let answerField: AnswerField
    /// What else the result line holds.
    public let fields: [JSONMember]
    /// A digest of what is asked, which does not depend on the model: runs with equal digests can be compared.
    public let digest: String

    /// Creates a sample.
    ///
    /// - Parameters:
    ///   - id: Its name, unique within a run.
    ///   - prompt: What the model reads.
    ///   - maximumNewTokens: The number of tokens that a model may write at most, for each question.
    ///   - endsAfterLine: Whether the answer ends with its first line that is not empty.
    ///   - answerField: Where the answers go.
    ///   - fields: What else the result line holds, such as what the scoring needs.
    ///   - identity: What tells the sample apart from others, where the prompt depends on the model's tokenizer; by
    ///     default the prompt.
    public init(
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

    /// Creates a sample with one answer in `pred` and those that count as right in `answers`, as
    /// ``BenchmarkScoring/bestAnswer(by:or:)`` scores them.
    public init(id: String, prompt: EvaluationPrompt, maximumNewTokens: Int, answers: [String]) {
        self.init(
            id: id, prompt: prompt, maximumNewTokens: maximumNewTokens, answerField: .prediction,
            fields: [JSONMember](["answers": JSONValue(answers)]))
    }
}

extension EvaluationSample {
    /// Samples that are asked so many times each, one round of all after the other: the mean of their scores is pass@1. Each time
    /// the choice of tokens is another, because it depends on a sample's number in the run.
    public static func repeated(_ samples: [EvaluationSample], times: Int) -> [EvaluationSample] {
        (1...max(1, times)).flatMap { time in
            samples.map { sample in
                var copy = sample
                if time > 1 { copy.id += "#\(time)" }
                return copy
            }
        }
    }
}

/// What a model reads: one text, or a context that enters the cache first and questions about it.
public struct EvaluationPrompt: Sendable, Hashable {
    /// The system message, where the benchmark has one.
    public var system: String?
    /// What comes before the context, where there is one; it is never cut.
    public var instruction = ""
    /// What all questions are about. The cache is cut by what the policy makes of the context alone, before it sees a
    /// question, as KVzip measures it.
    public var context: String?
    /// The questions, each asked after the context as if it were the only one; without a context one whole prompt.
    public var questions: [String]
    /// Whether the prompt is put into the model's chat template, unless the user leaves it out.
    public var usesChatTemplate: Bool
    /// What follows a question where no chat template does.
    public var rawEnding = ""

    /// One text.
    public init(_ text: String, usesChatTemplate: Bool) {
        questions = [text]
        self.usesChatTemplate = usesChatTemplate
    }

    /// A context that enters the cache first, and questions about it.
    public init(context: String, questions: [String], usesChatTemplate: Bool) {
        self.context = context
        self.questions = questions
        self.usesChatTemplate = usesChatTemplate
    }
}
