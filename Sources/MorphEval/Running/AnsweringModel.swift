/// A model that answers prompts; what an evaluation needs of an engine.
package protocol AnsweringModel: Sendable {
    /// The tokenizer, without special tokens.
    var codec: TokenCodec { get }
    /// The number of tokens that the model was trained to read.
    var contextLength: Int { get }
    /// The tokens of a text that may name special tokens.
    ///
    /// - Parameter isBeginning: whether to add what the model expects at the beginning of a text.
    func tokens(of text: String, isBeginning: Bool) throws -> [Int32]
    /// What the chat template puts before and after a message.
    func chatFrame(system: String?) throws -> ChatFrame
    /// Answers each question after the context.
    ///
    /// - Parameter progress: is told the number of tokens written so far.
    func answer(
        _ request: ModelRequest, progress: @escaping @Sendable (Int) -> Void
    ) async throws -> ModelAnswer
}

/// What a chat template puts around a message.
package struct ChatFrame: Sendable, Hashable {
    /// Before the message.
    package let head: String
    /// After the message, where the answer begins.
    package let tail: String

    /// Creates a frame.
    package init(head: String, tail: String) {
        self.head = head
        self.tail = tail
    }
}

/// A prompt as tokens.
package struct ModelRequest: Sendable, Hashable {
    /// What comes before the context, and is not the policy's to cut where it can tell.
    package var system: [Int32]
    /// What the questions are about; may be empty.
    package var context: [Int32]
    /// The questions.
    package var questions: [[Int32]]
    /// Whether something in the middle of the prompt was left out.
    package var promptWasCut: Bool
    /// The number of tokens to write at most, for each question.
    package var maximumNewTokens: Int
    /// Whether an answer ends with its first line that is not empty.
    package var endsAfterLine: Bool
    /// The seed of the random choice.
    package var seed: UInt32

    /// Creates a request.
    package init(
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
package struct ModelAnswer: Sendable, Hashable {
    /// The answer to one question.
    package struct Part: Sendable, Hashable {
        /// The text.
        package var text = ""
        /// The number of tokens written.
        package var tokens = 0
        /// Why it ended: "stop" or "length".
        package var finish = "stop"

        /// Creates an empty answer.
        package init(text: String = "", tokens: Int = 0, finish: String = "stop") {
            self.text = text
            self.tokens = tokens
            self.finish = finish
        }
    }

    /// One answer for each question.
    package var parts: [Part] = []
    /// The tokens of the context, with what comes before it, and of all questions.
    package var promptTokens = 0
    /// How often the context was read: once, or for every question; 0 if there is none.
    package var contextReads = 0
    /// Whether something in the middle of the prompt was left out.
    package var promptWasCut = false
    /// The bytes of the cache when the answer began; of several questions the most.
    package var promptCacheBytes = 0
    /// The bytes of the cache when the answer was complete; of several questions the most.
    package var cacheBytes = 0
    /// The same with the intermediate results of the computation.
    package var peakBytes = 0
    /// Time until the first token, for all questions together.
    package var prefillSeconds = 0.0
    /// Time for the other tokens.
    package var decodeSeconds = 0.0

    /// Creates an answer without parts.
    package init() {}
}
