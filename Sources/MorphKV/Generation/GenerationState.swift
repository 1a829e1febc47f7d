/// One answer while it is written: chooses its tokens, joins their text, and knows when it ends.
///
/// It feeds nothing itself: a ``Session`` for its one answer, and a ``Scheduler`` for each of those that it batches,
/// feed the prompt and every chosen token to an ``Engine`` and pass its logits on.
final class GenerationState {
    /// What one step gave.
    struct Step {
        /// Text that is certain by now, valid UTF-8.
        let text: String
        /// The token that was chosen, which is to be fed before the next step; nil if the answer ended without one.
        let token: Token?
        /// The tokens of that text with their probabilities, if they were asked for.
        let scored: [ScoredToken]
        /// Why this is the last step; nil if it is not.
        let finish: Generation.FinishReason?
    }

    private let options: GenerationOptions
    private let tokenizer: Tokenizer?
    private let sampler: Sampler
    private let grammar: GrammarState?
    private let topLogprobs: Int?
    private let scoresSampling: Bool
    private var text: TextStream
    private var scored = ScoredTokenStream()
    /// Tokens of the answer so far.
    private(set) var generated = 0
    /// Whether the last step was made.
    private(set) var isOver = false
    /// The stop string that ended the answer, if one did.
    var stop: String? { text.stop }

    /// - Parameters:
    ///   - prompt: the tokens that the answer follows, those of a context left out; penalties count them too.
    ///   - topLogprobs: how many of the most likely tokens to report with each token, besides the token itself; nil
    ///     reports none.
    ///   - scoresSampling: whether to report the probabilities that tokens were chosen by, after all samplers.
    ///   - memory: shared with other samplers of the same thread; of its own if nil.
    /// - Throws: ``GenerationError`` when an option is out of range.
    init(
        prompt: [Token], options: GenerationOptions, model: Model, topLogprobs: Int? = nil,
        scoresSampling: Bool = false, memory: SamplerMemory? = nil
    ) throws {
        guard options.maxTokens >= 0 else {
            throw GenerationError(.invalidOption, "\(options.maxTokens) tokens at most: 0 or more is needed")
        }
        self.options = options
        self.topLogprobs = topLogprobs
        self.scoresSampling = scoresSampling
        tokenizer = model.tokenizer
        sampler = try Sampler(
            options.sampling, after: prompt, vocabularySize: model.description.vocabularySize, memory: memory)
        if scoresSampling { sampler.noted = topLogprobs }
        grammar = try Self.grammar(options, model)
        text = TextStream(stops: options.stop)
    }

    private static func grammar(_ options: GenerationOptions, _ model: Model) throws -> GrammarState? {
        guard let grammar = options.grammar else { return nil }
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer; a grammar needs one")
        }
        return try GrammarState(grammar, tokenizer)
    }

    /// Chooses the next token.
    ///
    /// - Parameter logits: the model's, after everything that was fed.
    /// - Throws: ``GenerationError`` of kind `badLogits` or `grammar`.
    func next(_ logits: [Float]) throws -> Step {
        precondition(!isOver, "nothing follows the last step")
        guard generated < options.maxTokens else { return step(text.finish(), nil, .length) }
        guard let token = try choose(logits) else { return step(text.finish(), nil, .stop) }
        // Nothing can follow a text that kept to its grammar.
        let isAtEnd = !options.ignoresEndOfText || options.grammar != nil
        if isAtEnd, tokenizer?.endsGeneration(token) == true { return step(text.finish(), nil, .stop) }
        generated += 1
        let bytes = tokenizer?.bytes(of: token, special: options.preservedTokens.contains(token)) ?? []
        if let topLogprobs {
            let score =
                scoresSampling
                ? ScoredToken(token, among: sampler.candidates, tokenizer: tokenizer)
                : ScoredToken(token, in: logits, top: topLogprobs, tokenizer: tokenizer)
            scored.append(score, byteCount: bytes.count)
        }
        let certain = text.append(bytes)
        if text.isStopped { return step(certain, token, .stop) }
        if generated == options.maxTokens { return step(certain + text.finish(), token, .length) }
        return step(certain, token, nil)
    }

    private func choose(_ logits: [Float]) throws -> Token? {
        guard let grammar else { return try sampler.sample(logits) }
        return try sampler.sample(logits, within: grammar)
    }

    private func step(_ certain: String, _ token: Token?, _ finish: Generation.FinishReason?) -> Step {
        isOver = finish != nil
        var released = topLogprobs == nil ? [] : scored.release(with: certain)
        // Tokens whose text a stop string cut off are not part of the answer.
        if isOver, !text.isStopped { released += scored.finish() }
        return Step(text: certain, token: token, scored: released, finish: finish)
    }
}
