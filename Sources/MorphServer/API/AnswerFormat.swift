#if Server
internal import MorphKV

/// How answers of one endpoint are written.
protocol AnswerFormat: Sendable {
    associatedtype Whole: Encodable & Sendable
    associatedtype Part: Encodable & Sendable

    /// The kind of object, of whole responses and of parts.
    var objects: (whole: String, part: String) { get }
    /// What identifiers begin with.
    var prefix: String { get }

    /// A whole answer.
    func whole(_ index: Int, text: String, tokens: [ScoredToken], reason: Generation.FinishReason) -> Whole
    /// What comes before an answer's first part, if anything.
    func opening(_ index: Int) -> Part?
    /// A part of an answer.
    ///
    /// - Parameter offset: characters of the answer before it.
    func part(_ index: Int, _ piece: ServingPiece, offset: Int) -> Part
}

/// Answers of `/v1/chat/completions`.
struct ChatAnswers: AnswerFormat {
    let hasLogprobs: Bool

    var objects: (whole: String, part: String) { ("chat.completion", "chat.completion.chunk") }
    var prefix: String { "chatcmpl" }

    func whole(_ index: Int, text: String, tokens: [ScoredToken], reason: Generation.FinishReason) -> ChatChoice {
        ChatChoice(
            index: index, message: .init(content: text), logprobs: hasLogprobs ? ChatLogprobs(tokens) : nil,
            finishReason: reason.rawValue)
    }

    func opening(_ index: Int) -> ChatDelta? {
        ChatDelta(index: index, delta: .init(role: "assistant"))
    }

    func part(_ index: Int, _ piece: ServingPiece, offset: Int) -> ChatDelta {
        ChatDelta(
            index: index, delta: .init(content: piece.text.isEmpty && piece.end != nil ? nil : piece.text),
            logprobs: hasLogprobs && !piece.tokens.isEmpty ? ChatLogprobs(piece.tokens) : nil,
            finishReason: piece.end?.reason.rawValue)
    }
}

/// Answers of `/v1/completions`.
struct TextAnswers: AnswerFormat {
    let hasLogprobs: Bool
    /// For each answer the prompt that it repeats; empty if none does.
    var echoes: [Echo] = []

    /// A prompt that its answer repeats.
    struct Echo: Sendable {
        let text: String
        /// The text of the prompt's first token, which has no probability.
        let first: String
    }

    var objects: (whole: String, part: String) { ("text_completion", "text_completion") }
    var prefix: String { "cmpl" }

    func whole(_ index: Int, text: String, tokens: [ScoredToken], reason: Generation.FinishReason) -> TextChoice {
        let echo = echoes.isEmpty ? nil : echoes[index]
        return TextChoice(
            index: index, text: (echo?.text ?? "") + text,
            logprobs: hasLogprobs ? TextLogprobs(tokens, after: echo?.first, offset: 0) : nil,
            finishReason: reason.rawValue)
    }

    func opening(_ index: Int) -> TextChoice? {
        echoes.isEmpty ? nil : TextChoice(index: index, text: echoes[index].text)
    }

    func part(_ index: Int, _ piece: ServingPiece, offset: Int) -> TextChoice {
        TextChoice(
            index: index, text: piece.text,
            logprobs: hasLogprobs && !piece.tokens.isEmpty ? TextLogprobs(piece.tokens, offset: offset) : nil,
            finishReason: piece.end?.reason.rawValue)
    }
}
#endif
