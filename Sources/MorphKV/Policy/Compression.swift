/// How a text that was read once is made smaller, before anything is asked about it.
///
/// Source of the scores: Kim et al., "KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction", NeurIPS 2025,
/// arXiv 2505.23416. Levels: the same paper (pair, uniform, head), Ada-KV, arXiv 2407.11550 (layer), and DuoAttention,
/// arXiv 2410.10819 (streaming heads). Scores by a calibration are our own, docs/augur.md.
public struct Compression: Sendable, Hashable {
    /// Among which entries the best are chosen.
    public enum Level: Sendable, Hashable {
        /// Among all layers and heads: each head ends with a number of its own.
        case pair
        /// Within each head: all heads of a layer end with the same number.
        case uniform
        /// Among the heads of a layer; every head has `alpha` of its even share for certain.
        case layer(alpha: Double)
        /// Whole heads keep everything; the others keep `sinks` first and `recent` last positions of the text. If `recent`
        /// is not 0, they see only those and hold constant memory from there on.
        case head(sinks: Int, recent: Int)
    }

    /// How much stays.
    public enum Budget: Sendable, Hashable {
        /// The share of the text's entries, 0 to 1; what comes before the text stays on top.
        case ratio(Double)
        /// Entries per KV head on average, what comes before the text included.
        case capacity(Int)
        /// Bytes of all layers together at most.
        case bytes(Int)
    }

    /// Where scores come from.
    public enum Source: Sendable, Hashable {
        /// The model repeats the text: the largest attention that each entry receives.
        case reconstruction(ReconstructionPrompt)
        /// The model's ``Calibration``: how much each entry is expected to be needed after the end of the text. Found while
        /// the text is read; the model reads nothing again.
        case calibration
        /// Scores of whole heads that were found on another text.
        case heads(HeadScores)
    }

    /// What the command `compress` and the server take where nothing is said.
    public enum Defaults {
        /// The share of the entries that stays.
        public static let ratio = 0.3
        /// Of ``Level/layer(alpha:)``.
        public static let alpha = 0.2
        /// Of ``Level/head(sinks:recent:)``.
        public static let sinks = 4
        /// Of ``Level/head(sinks:recent:)``.
        public static let recent = 256
    }

    /// How much stays.
    public var budget: Budget
    /// Among which entries the best are chosen.
    public var level: Level
    /// How the layers' budgets differ, for levels that choose within a layer.
    public var curve: LayerCurve
    /// Where scores come from.
    public var source: Source

    /// Composes a compression.
    public init(
        _ budget: Budget, level: Level = .pair, curve: LayerCurve = .uniform,
        source: Source = .reconstruction(ReconstructionPrompt())
    ) {
        self.budget = budget
        self.level = level
        self.curve = curve
        self.source = source
    }

    /// KVzip: the share `ratio` of a text's entries stays, those that the model needs most to repeat the text.
    public static func kvzip(ratio: Double, level: Level = .pair) -> Compression {
        Compression(.ratio(ratio), level: level)
    }

    /// Augur: the share `ratio` of a text's entries stays, those that the model's calibration expects to be needed most.
    public static func augur(ratio: Double, level: Level = .pair) -> Compression {
        Compression(.ratio(ratio), level: level, source: .calibration)
    }

    /// Whole heads by scores that were found before: no score is computed.
    public static func heads(
        _ scores: HeadScores, ratio: Double, sinks: Int = Defaults.sinks, recent: Int = Defaults.recent
    ) -> Compression {
        Compression(.ratio(ratio), level: .head(sinks: sinks, recent: recent), source: .heads(scores))
    }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` naming what makes no sense.
    func validate(layerCount: Int) throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw CacheError(.invalidPolicy, what) }
        }
        switch budget {
        case .ratio(let ratio): try require((0...1).contains(ratio), "a ratio of \(ratio): 0 to 1 is needed")
        case .capacity(let entries): try require(entries >= 1, "a capacity of \(entries): 1 or more is needed")
        case .bytes(let bytes): try require(bytes >= 1, "\(bytes) bytes: 1 or more is needed")
        }
        switch level {
        case .pair, .uniform: break
        case .layer(let alpha): try require((0...1).contains(alpha), "an alpha of \(alpha): 0 to 1 is needed")
        case .head(let sinks, let recent):
            let limit = 1 << 24
            try require(
                (0...limit).contains(sinks) && (0...limit).contains(recent),
                "\(sinks) sinks and \(recent) recent positions: 0 to \(limit) are possible")
        }
        try curve.validate(layerCount: layerCount)
        switch level {
        case .uniform, .layer: break
        case .pair, .head: try require(curve == .uniform, "only levels that choose within a layer can have a curve")
        }
        switch (source, level) {
        case (.reconstruction(let prompt), _): try prompt.validate()
        case (.calibration, _), (.heads, .head): break
        case (.heads, _): throw CacheError(.invalidPolicy, "scores of whole heads can choose whole heads only")
        }
    }
}

/// How the model is asked to repeat a text, part by part.
public struct ReconstructionPrompt: Sendable, Hashable {
    /// Words for the model, as text or as token ids.
    public enum Words: Sendable, Hashable {
        /// Encoded by the model's tokenizer.
        case text(String)
        /// Token ids.
        case tokens([Token])
    }

    /// Tokens of the text that are repeated at a time.
    public var chunk: Int
    /// Last tokens of the part before, with which the request for the next part ends.
    public var overlap: Int
    /// The request for the first part.
    public var first: Words
    /// The request for every further part, before the overlap.
    public var next: Words
    /// What comes between the request and the answer.
    public var postfix: Words

    /// Composes a request; the defaults are the paper's, without chat markers.
    public init(
        chunk: Int = 2000, overlap: Int = 8, first: Words = .text("\n\nRepeat the previous context exactly."),
        next: Words = .text("\n\nRepeat the part of the previous context exactly, starting with "),
        postfix: Words = .text("\n")
    ) {
        self.chunk = chunk
        self.overlap = overlap
        self.first = first
        self.next = next
        self.postfix = postfix
    }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` naming what makes no sense.
    func validate() throws {
        guard chunk >= 1 else {
            throw CacheError(.invalidPolicy, "parts of \(chunk) tokens: 1 or more is needed")
        }
        guard overlap >= 0 else {
            throw CacheError(.invalidPolicy, "an overlap of \(overlap) tokens: 0 or more is needed")
        }
    }
}

/// How much each KV head of a model matters: found once, then applied to any text.
public struct HeadScores: Sendable, Hashable, Codable {
    /// Which model they belong to; see ``Model/fingerprint``.
    public var model: String
    /// The larger, the more the head needs its entries: `[layer][kvHead]`; an empty list for a layer that is not cut.
    public var scores: [[Float]]

    /// Creates scores.
    public init(model: String, scores: [[Float]]) {
        self.model = model
        self.scores = scores
    }
}
