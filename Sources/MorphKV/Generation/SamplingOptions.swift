/// How the next token is chosen from the logits; the steps are libllama's, in its usual order.
public struct SamplingOptions: Sendable, Hashable, Codable {
    /// 0 always takes the most likely token; higher is more random.
    public var temperature: Float
    /// Keeps the k most likely tokens; 0 keeps all.
    public var topK: Int
    /// Keeps the most likely tokens that together have this probability; 1 keeps all.
    public var topP: Float
    /// Keeps tokens with at least this share of the most likely one's probability; 0 keeps all.
    public var minP: Float
    /// Divides (or multiplies, if negative) the logits of recent tokens; 1 changes nothing.
    public var repetitionPenalty: Float
    /// Subtracts this for every recent occurrence of a token.
    public var frequencyPenalty: Float
    /// Subtracts this once for every token that occurred recently.
    public var presencePenalty: Float
    /// How many of the last tokens of prompt and answer the penalties look at; a context before the prompt is left out.
    public var penaltyWindow: Int
    /// Seed of the random choice.
    public var seed: UInt32
    /// Added to the logits of single tokens before anything else.
    public var logitBias: [Token: Float]

    /// Creates options; the defaults are those of llama.cpp, with temperature 0.
    public init(
        temperature: Float = 0, topK: Int = 40, topP: Float = 0.95, minP: Float = 0.05,
        repetitionPenalty: Float = 1, frequencyPenalty: Float = 0, presencePenalty: Float = 0,
        penaltyWindow: Int = 64, seed: UInt32 = 0, logitBias: [Token: Float] = [:]
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.frequencyPenalty = frequencyPenalty
        self.presencePenalty = presencePenalty
        self.penaltyWindow = penaltyWindow
        self.seed = seed
        self.logitBias = logitBias
    }
}

extension SamplingOptions {
    /// - Throws: ``GenerationError`` of kind `invalidOption` naming the option that is out of range.
    func validate(vocabularySize: Int) throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw GenerationError(.invalidOption, what) }
        }
        try require(temperature.isFinite && temperature >= 0, "a temperature of \(temperature): 0 or more is needed")
        try require(topK >= 0, "top-k of \(topK): 0 or more is needed")
        try require((0...1).contains(topP), "top-p of \(topP): 0 to 1 is needed")
        try require((0...1).contains(minP), "min-p of \(minP): 0 to 1 is needed")
        try require(
            repetitionPenalty.isFinite && repetitionPenalty > 0,
            "a repetition penalty of \(repetitionPenalty): more than 0 is needed")
        try require(
            frequencyPenalty.isFinite && presencePenalty.isFinite,
            "penalties of \(frequencyPenalty) and \(presencePenalty): finite numbers are needed")
        for (token, bias) in logitBias {
            try require(
                token >= 0 && Int(token) < vocabularySize && bias.isFinite,
                "a bias of \(bias) for token \(token): a finite number for one of \(vocabularySize) tokens is needed")
        }
        // libllama makes room for the whole window at once.
        try require(
            (0...1 << 20).contains(penaltyWindow), "a penalty window of \(penaltyWindow): 0 to \(1 << 20) is needed")
    }
}
