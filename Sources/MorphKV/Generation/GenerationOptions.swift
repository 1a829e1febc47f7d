/// How long and how to generate.
public struct GenerationOptions: Sendable, Hashable, Codable {
    /// Tokens at most; 0 only feeds the prompt.
    public var maxTokens: Int
    /// How the next token is chosen.
    public var sampling: SamplingOptions
    /// Texts that end the generation; they are not part of the result.
    public var stop: [String]
    /// Whether to go on when the model ends its text, for measurements of a given length.
    public var ignoresEndOfText: Bool
    /// What the answer must look like; anything if nil. It can be cut short by ``maxTokens`` and ``stop``.
    public var grammar: Grammar?
    /// Control tokens whose names are part of the text, as answers with calls have them; others leave nothing in it.
    public var preservedTokens: Set<Token>

    /// Creates options.
    public init(
        maxTokens: Int = 512, sampling: SamplingOptions = .init(), stop: [String] = [], ignoresEndOfText: Bool = false,
        grammar: Grammar? = nil, preservedTokens: Set<Token> = []
    ) {
        self.maxTokens = maxTokens
        self.sampling = sampling
        self.stop = stop
        self.ignoresEndOfText = ignoresEndOfText
        self.grammar = grammar
        self.preservedTokens = preservedTokens
    }
}
