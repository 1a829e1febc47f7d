/// How well a model predicts a text under a policy, against the full cache on the same tokens.
public struct Perplexity: Sendable, Hashable, Codable {
    /// The policy, as text.
    public var policy: String
    /// Tokens predicted.
    public var tokens: Int
    /// exp of the mean negative log-likelihood under the policy.
    public var perplexity: Double
    /// The same under the full cache.
    public var fullPerplexity: Double
    /// Mean Kullback-Leibler divergence of the policy's next-token distributions from the full cache's, in nats.
    public var meanKL: Double
    /// Share of tokens for which both find the same one most likely.
    public var sameTopToken: Double

    /// Feeds a text token by token, as if the model had written it, in independent parts.
    ///
    /// - Parameters:
    ///   - model: what reads the text.
    ///   - cache: what it is measured with.
    ///   - tokens: the text; its first token is not predicted.
    ///   - context: tokens per part; each begins with an empty cache.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - progress: called after every part with the tokens done.
    /// - Throws: ``CacheError`` when the policy cannot be honoured or there are fewer than two tokens.
    public static func measure(
        _ model: Model, _ cache: CacheOptions, tokens: [Token], context: Int, threads: Int? = nil,
        progress: (Int) -> Void = { _ in }
    ) throws -> Perplexity {
        try measure(model, cache, texts: [tokens], context: context, threads: threads, progress: progress)
    }

    /// Feeds texts token by token, as if the model had written them, each in independent parts.
    ///
    /// - Parameters:
    ///   - model: what reads the text.
    ///   - cache: what it is measured with.
    ///   - texts: of each text the first token is not predicted.
    ///   - context: tokens per part; each begins with an empty cache.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - progress: called after every part with the tokens done.
    /// - Throws: ``CacheError`` when the policy cannot be honoured or a text has fewer than two tokens.
    public static func measure(
        _ model: Model, _ cache: CacheOptions, texts: [[Token]], context: Int, threads: Int? = nil,
        progress: (Int) -> Void = { _ in }
    ) throws -> Perplexity {
        guard !texts.isEmpty, texts.allSatisfy({ $0.count > 1 }), context > 1 else {
            throw CacheError(.emptyPrompt, "a perplexity needs at least two tokens and a context of two")
        }
        let threads = threads ?? Processors.usable
        let engine = try Engine(model, cache, threads: threads, reserve: context)
        let full = try Engine(
            model, cache.with(FullPolicy()), threads: threads, reserve: context)
        var sums = PredictionSums()
        var done = 0
        for part in texts.flatMap({ parts(of: $0, context) }) {
            engine.clear()
            full.clear()
            try engine.prefill([part.first!])
            try full.prefill([part.first!])
            for token in part.dropFirst() {
                sums.add(engine.logits, full.logits, next: token)
                try engine.decode(token)
                try full.decode(token)
            }
            done += part.count
            progress(done)
        }
        return Perplexity(
            policy: cache.policy.specification, tokens: sums.count, perplexity: sums.perplexity,
            fullPerplexity: sums.referencePerplexity, meanKL: sums.meanKL, sameTopToken: sums.sameTopToken)
    }

    /// Parts in which something is predicted.
    private static func parts(of tokens: [Token], _ context: Int) -> [ArraySlice<Token>] {
        stride(from: 0, to: tokens.count - 1, by: context).map { tokens[$0..<min($0 + context, tokens.count)] }
    }
}
