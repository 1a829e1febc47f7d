/// How much of the full cache's attention falls on what a policy still holds, by distance, layer and KV head.
///
/// No task and no answer is needed: the text is fed as if the model had written it, and at every step the weights that the
/// full cache's query gives to all entries are compared with what the policy's cache holds at that step. The weights of a
/// KV head are the means over its group's query heads, so they sum to 1 at every step.
public struct AttentionRecall: Sendable, Hashable, Codable {
    /// Where ranges of distances begin, in tokens from the query back to the entry: the token itself, 1 to 64, 65 to 256,
    /// 257 to 1,024, and more.
    public static let distances = [0, 1, 65, 257, 1025]

    /// Means over steps of the shares of a head's attention, one for each of ``AttentionRecall/distances``.
    public struct Shares: Sendable, Hashable, Codable {
        /// What falls on entries at that distance; all ranges together are 1.
        public var attention: [Double]
        /// What falls on those of them that the policy holds.
        public var kept: [Double]
        /// What falls on those that are among the largest weights of the step, as many as the policy has entries. In sum,
        /// not in each range, no policy with as many entries can have more: not even one that sees what the query will
        /// look at and takes back what it dropped. Policies that have to choose in time cannot always reach it.
        public var best: [Double]
        /// What is to be expected of the token itself and as many others less one, drawn by lot among all that the layer
        /// sees.
        public var random: [Double]
    }

    /// One KV head.
    public struct Head: Sendable, Hashable, Codable {
        /// Index of the layer, from the input.
        public var layer: Int
        /// Index of the KV head.
        public var head: Int
        /// The most entries that the policy held in it since the prompt.
        public var entries: Int
        /// Which shares of its attention fall where.
        public var shares: Shares
    }

    /// The policy, as text.
    public var policy: String
    /// The name of the model's file.
    public var model: String
    /// Bytes of the policy's cache at the end of the longest text.
    public var bytes: Int
    /// Bytes of keys and values of the full cache for it.
    public var fullBytes: Int
    /// Texts.
    public var texts: Int
    /// Tokens of all texts.
    public var tokens: Int
    /// Steps that were compared: the tokens behind the texts' prompts.
    public var steps: Int
    /// All KV heads, layer by layer.
    public var heads: [Head]

    /// The means over all heads.
    public var shares: Shares {
        func mean(_ part: KeyPath<Shares, [Double]>) -> [Double] {
            Self.distances.indices.map { index in
                heads.reduce(0) { $0 + $1.shares[keyPath: part][index] } / Double(max(1, heads.count))
            }
        }
        return Shares(attention: mean(\.attention), kept: mean(\.kept), best: mean(\.best), random: mean(\.random))
    }

    /// Feeds texts under several policies and compares.
    ///
    /// Each text's prompt enters at once, as prompts do; from there on every token is a step. The full cache's weights are
    /// computed once for all policies, layer by layer, in 32-bit floats.
    ///
    /// - Parameters:
    ///   - model: what reads the texts.
    ///   - caches: what is compared, one result each.
    ///   - texts: what is fed; the answers are the steps.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - progress: called with the share of the work that is done; what it throws ends the run.
    /// - Throws: ``CacheError`` when a policy cannot be honoured, a text has no prompt or nothing behind it (kind
    ///   `emptyPrompt`) or an id outside the vocabulary, or the model computes numbers that are none (kind `attention`);
    ///   `GgmlError` when memory is short.
    public static func measure(
        _ model: Model, _ caches: [CacheOptions], texts: [Calibrator.Text], threads: Int? = nil,
        progress: (Double) throws -> Void = { _ in }
    ) throws -> [AttentionRecall] {
        guard !texts.isEmpty, texts.allSatisfy({ $0.answer > 0 && $0.answer < $0.tokens.count }) else {
            throw CacheError(.emptyPrompt, "attention is compared behind a prompt: a text needs both, a token at least")
        }
        for token in texts.flatMap(\.tokens) { try model.check(token) }
        let threads = threads ?? Processors.usable
        let pass = try AttentionComparison(
            model, caches, longest: texts.map(\.tokens.count).max() ?? 0, threads: threads)
        let tokens = texts.reduce(0) { $0 + $1.tokens.count }
        var done = 0
        for text in texts {
            try pass.compare(text) { try progress((Double(done) + $0 * Double(text.tokens.count)) / Double(tokens)) }
            done += text.tokens.count
        }
        return try pass.results(texts: texts.count, tokens: tokens)
    }
}
