/// KVzip: reads the prompt, has the model repeat it, keeps the entries that it needed for that, and then grows.
///
/// Source: Kim et al., "KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction", NeurIPS 2025,
/// arXiv 2505.23416. To compress once and ask many questions, see ``CompressedContext``.
public struct KVzipPolicy: CachePolicy {
    /// Among which entries the best are chosen.
    public enum Level: String, Sendable, Hashable, CaseIterable {
        /// Among all layers and heads.
        case pair
        /// Within each head.
        case uniform
        /// Among the heads of a layer.
        case layer
        /// Among whole heads: each keeps all of the prompt or nothing of it.
        case head
    }

    /// Where scores come from.
    public enum Scores: String, Sendable, Hashable, CaseIterable {
        /// The model repeats the prompt.
        case kvzip
        /// The model's ``Calibration`` foresees them while the prompt is read.
        case augur
    }

    /// What stands for the words of the paper, which the tokenizer encodes.
    private static let word = "paper"

    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "kvzip", summary: "keeps what the model needs to repeat the prompt, then grows",
        source: "KVzip, NeurIPS 2025, arXiv 2505.23416",
        parameters: [
            .number("ratio", in: 0...1, default: 0.3, "share of the prompt's entries that stays"),
            .choice("level", default: Level.pair, "among which entries the best are chosen"),
            .choice("scores", default: Scores.kvzip, "by repeating the prompt, or by the model's calibration (augur)"),
            .number("alpha", in: 0...1, default: 0.2, "for level=layer: what share every head has for certain"),
            .integer("system", in: 0...Int.max, default: 4, "first tokens of the prompt that stay without question"),
            .integer("chunkSize", in: 1...Int.max, default: 2000, "tokens that are repeated at a time"),
            .integer("prevPostfix", in: 0...Int.max, default: 8, "last tokens of a part that ask for the next one"),
            .numbers("repeatFirst", orWord: word, "token ids that ask for the first part"),
            .numbers("repeatNext", orWord: word, "token ids that ask for a further part"),
            .numbers("postfix", orWord: word, "token ids between request and answer"),
        ])

    /// The share of the prompt's entries that stays.
    public var ratio: Double
    /// Among which entries the best are chosen.
    public var level: Level
    /// Where scores come from.
    public var scores: Scores
    /// For ``Level/layer``: the share of its even part of the budget that every head has for certain.
    public var alpha: Double
    /// The prompt's first tokens that stay without question.
    public var system: Int
    /// How the model is asked to repeat the prompt.
    public var prompt: ReconstructionPrompt

    /// Creates the policy.
    public init(
        ratio: Double = 0.3, level: Level = .pair, scores: Scores = .kvzip, alpha: Double = 0.2, system: Int = 4,
        prompt: ReconstructionPrompt = ReconstructionPrompt()
    ) {
        self.scores = scores
        self.ratio = ratio
        self.level = level
        self.alpha = alpha
        self.system = system
        self.prompt = prompt
    }

    /// Creates the policy from its parameters.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` for a token id that is none.
    public init(_ arguments: PolicyArguments) throws {
        func words(_ name: String, _ words: ReconstructionPrompt.Words) throws -> ReconstructionPrompt.Words {
            guard let numbers = arguments.numbers(name) else { return words }
            let tokens = try numbers.map { number in
                guard let token = Token(exactly: number) else {
                    throw CacheError(.invalidPolicy, "kvzip: \(name) has \(number), which is no token id")
                }
                return token
            }
            return .tokens(tokens)
        }
        let usual = ReconstructionPrompt()
        self.init(
            ratio: arguments.number("ratio"), level: arguments.choice("level"), scores: arguments.choice("scores"),
            alpha: arguments.number("alpha"), system: arguments.integer("system"),
            prompt: ReconstructionPrompt(
                chunk: arguments.integer("chunkSize"), overlap: arguments.integer("prevPostfix"),
                first: try words("repeatFirst", usual.first), next: try words("repeatNext", usual.next),
                postfix: try words("postfix", usual.postfix)))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments([
            "ratio": ratio, "level": level.rawValue, "scores": scores.rawValue, "alpha": alpha, "system": system,
            "chunkSize": prompt.chunk,
            "prevPostfix": prompt.overlap, "repeatFirst": Self.text(prompt.first),
            "repeatNext": Self.text(prompt.next), "postfix": Self.text(prompt.postfix),
        ])
    }

    private static func text(_ words: ReconstructionPrompt.Words) -> String {
        guard case .tokens(let tokens) = words else { return word }
        return tokens.map { "\($0)" }.joined(separator: "+")
    }

    /// The same.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` if scores are to come from one that the model does not have.
    public func prepared(for model: Model) throws -> KVzipPolicy {
        if scores == .augur { _ = try model.neededCalibration(for: "kvzip:scores=augur") }
        return self
    }

    /// Everything stays until the compression.
    public func rule(for layer: LayerGeometry) -> RetentionRule { .everything }

    /// By ``scores``.
    public var compression: Compression? {
        let level: Compression.Level =
            switch self.level {
            case .pair: .pair
            case .uniform: .uniform
            case .layer: .layer(alpha: alpha)
            case .head: .head(sinks: 0, recent: 0)
            }
        return Compression(
            .ratio(ratio), level: level, source: scores == .augur ? .calibration : .reconstruction(prompt))
    }

    /// ``system``.
    public var protectedTokens: Int { system }
}
