/// A model that answers prompts: what an evaluation needs of an engine.
///
/// ``SessionModel`` is that for GGUF models and this package's engine; others can be put to the same benchmarks.
public protocol AnsweringModel: Sendable {
    /// The tokenizer, without special tokens.
    var codec: TokenCodec { get }
    /// The number of tokens that the model was trained to read.
    var contextLength: Int { get }
    /// The tokens of a text that may name special tokens.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - isBeginning: whether to add what the model expects at the beginning of a text.
    func tokens(of text: String, isBeginning: Bool) throws -> [Int32]
    /// What the chat template puts before and after a message of the user.
    ///
    /// - Parameter system: The system message, if there is one.
    func chatFrame(system: String?) throws -> ChatFrame
    /// Answers each question after the context, as if it were the only one.
    ///
    /// - Parameters:
    ///   - request: A context, questions about it, and limits.
    ///   - progress: is told the number of tokens written so far.
    /// - Throws: `CancellationError` if the task was cancelled: what was written until then is no answer.
    func answer(
        _ request: EvaluationRequest, progress: @escaping @Sendable (Int) -> Void
    ) async throws -> EvaluationAnswer
}

/// What a chat template puts around a message.
public struct ChatFrame: Sendable, Hashable {
    /// Before the message.
    public let head: String
    /// After the message, where the answer begins.
    public let tail: String

    /// Creates a frame.
    public init(head: String, tail: String) {
        self.head = head
        self.tail = tail
    }
}

/// A prompt as tokens.
public struct EvaluationRequest: Sendable, Hashable {
    /// What comes before the context, and is not the policy's to cut where it can tell.
    public var system: [Int32]
    /// What the questions are about; may be empty.
    public var context: [Int32]
    /// The questions.
    public var questions: [[Int32]]
    /// Whether something in the middle of the prompt was left out.
    public var promptWasCut: Bool
    /// The number of tokens to write at most, for each question.
    public var maximumNewTokens: Int
    /// Whether an answer ends with its first line that is not empty.
    public var endsAfterLine: Bool
    /// The seed of the random choice.
    public var seed: UInt32
    /// Tokens that the sequence has at its end with a full cache, where that is known: what a share of the full cache's bytes
    /// is a share of.
    public var fullTokens: Int?

    /// The most tokens that a sequence of the request can have at its end.
    public var mostTokens: Int {
        system.count + context.count + (questions.map(\.count).max() ?? 0) + maximumNewTokens
    }

    /// Creates a request.
    public init(
        system: [Int32] = [], context: [Int32] = [], questions: [[Int32]], promptWasCut: Bool = false,
        maximumNewTokens: Int, endsAfterLine: Bool = false, seed: UInt32 = 0
    ) {
        self.system = system
        self.context = context
        self.questions = questions
        self.promptWasCut = promptWasCut
        self.maximumNewTokens = maximumNewTokens
        self.endsAfterLine = endsAfterLine
        self.seed = seed
    }
}

/// What a model answered, and what that cost.
public struct EvaluationAnswer: Sendable, Hashable {
    /// The answer to one question.
    public struct Part: Sendable, Hashable {
        /// The text.
        public var text = ""
        /// The number of tokens written.
        public var tokens = 0
        /// Why it ended: "stop" or "length".
        public var finish = "stop"

        /// Creates an answer to one question.
        public init(text: String = "", tokens: Int = 0, finish: String = "stop") {
            self.text = text
            self.tokens = tokens
            self.finish = finish
        }
    }

    /// One answer for each question.
    public var parts: [Part] = []
    /// The tokens of the context, with what comes before it, and of all questions.
    public var promptTokens = 0
    /// How often the context was read: once, or for every question; 0 if there is none.
    public var contextReads = 0
    /// Whether something in the middle of the prompt was left out.
    public var promptWasCut = false
    /// The tokens of the sequence when the answer was complete; of several questions the most.
    public var sequenceTokens = 0
    /// The bytes that the cache was allowed; `nil` if its capacity was stated.
    public var budgetBytes: Int?
    /// The entries per KV head that had room in these bytes.
    public var capacity: Int?
    /// The bytes of tables that all sequences share: a calibration's.
    public var sharedBytes = 0
    /// The bytes of the cache when the answer began; of several questions the most.
    public var promptCacheBytes = 0
    /// The bytes of the cache when the answer was complete; of several questions the most.
    public var cacheBytes = 0
    /// The same with the intermediate results of the computation.
    public var peakBytes = 0
    /// Seconds until the first token, for all questions together.
    public var prefillSeconds = 0.0
    /// Seconds for the other tokens.
    public var decodeSeconds = 0.0

    /// Creates an answer without parts.
    public init() {}
}
