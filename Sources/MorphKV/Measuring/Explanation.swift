/// What a policy kept of a text and what that cost: the run repeated and looked at.
public struct Explanation: Sendable, Hashable, Codable {
    /// One KV head at the end of the run.
    public struct Head: Sendable, Hashable, Codable {
        /// Index of the layer, from the input.
        public var layer: Int
        /// Index of the KV head.
        public var head: Int
        /// Slots it has.
        public var slots: Int
        /// Entries among the first four positions.
        public var sinks: Int
        /// Entries of the prompt behind them.
        public var prompt: Int
        /// Entries of the response before the last ones.
        public var response: Int
        /// Entries among the last 32 positions.
        public var recent: Int
        /// How often a slot got a new entry in place of an old one, on average.
        public var turnover: Double
        /// The share of the full cache's attention that falls on what this head still holds, averaged over the sampled
        /// steps; nil if no steps were sampled.
        public var attentionKept: Double?
    }

    /// The policy, as text.
    public var policy: String
    /// Tokens of the prompt.
    public var promptTokens: Int
    /// Tokens of the response.
    public var responseTokens: Int
    /// Steps at which attention was compared.
    public var sampledSteps: Int
    /// All KV heads, layer by layer.
    public var heads: [Head]

    /// Repeats a run and looks at what the cache holds.
    ///
    /// The attention kept is measured on a second run with a full cache, fed the same tokens: at each sampled step, the
    /// weights that its query gives to the positions that the policy's cache holds, over all weights. It is slow and
    /// takes the full cache's memory.
    ///
    /// - Parameters:
    ///   - model: what reads the text.
    ///   - cache: what it is measured with.
    ///   - prompt: token ids that were fed at once.
    ///   - pin: which of them are pinned.
    ///   - response: token ids that were fed one by one.
    ///   - attentionSamples: at how many steps, evenly spaced, to compare attention; 0 for none.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: what feeding the tokens throws.
    public static func of(
        _ model: Model, _ cache: CacheOptions, prompt: [Token], pin: PromptPins = .none, response: [Token],
        attentionSamples: Int = 0, threads: Int? = nil
    ) throws -> Explanation {
        let threads = threads ?? Processors.usable
        let engine = try Engine(model, cache, threads: threads, reserve: prompt.count + response.count)
        let samples = sampledSteps(attentionSamples, of: response.count)
        // The last query's weights over everything are the scores of TOVA with room for all.
        let probe =
            try samples.isEmpty
            ? nil
            : Engine(
                model,
                cache.with(TOVAPolicy(capacity: prompt.count + response.count + 1)), threads: threads)
        var kept: [[Double]] = []
        try engine.prefill(prompt, pinning: pin.positions(in: prompt.count))
        try probe?.prefill(prompt)
        for (step, token) in response.enumerated() {
            try engine.decode(token)
            try probe?.decode(token)
            guard let probe, samples.contains(step) else { continue }
            let shares = share(of: probe.lastWeights, on: engine.positions)
            kept = kept.isEmpty ? shares : zip(kept, shares).map { zip($0, $1).map(+) }
        }
        return summary(of: engine, prompt: prompt.count, kept: kept, samples: samples.count)
    }

    private static func sampledSteps(_ count: Int, of steps: Int) -> Set<Int> {
        guard count > 0, steps > 0 else { return [] }
        return Set((1...min(count, steps)).map { $0 * steps / min(count, steps) - 1 })
    }

    /// The share of the weights on some positions: `[layer][kvHead]`.
    private static func share(of weights: [[[Int: Float]]], on positions: [[[Int]]]) -> [[Double]] {
        zip(weights, positions).map { heads, held in
            zip(heads, held).map { weights, held in
                let total = weights.values.reduce(0, +)
                let share = held.reduce(Float(0)) { $0 + (weights[$1] ?? 0) }
                return total > 0 ? Double(share / total) : 1
            }
        }
    }

    private static func summary(of engine: Engine, prompt: Int, kept: [[Double]], samples: Int) -> Explanation {
        let statistics = engine.statistics
        let recentStart = engine.seen - 32
        var heads: [Head] = []
        for (layer, all) in engine.positions.enumerated() {
            let slots = statistics.layers[layer].headSlots
            for (head, positions) in all.enumerated() {
                let sinks = positions.filter { $0 < 4 }
                let recent = positions.filter { $0 >= max(4, recentStart) }
                let middle = positions.filter { $0 >= 4 && $0 < recentStart }
                let ofPrompt = middle.filter { $0 < prompt }.count
                heads.append(
                    Head(
                        layer: layer, head: head, slots: slots[head], sinks: sinks.count, prompt: ofPrompt,
                        response: middle.count - ofPrompt, recent: recent.count,
                        turnover: Double(engine.seen - positions.count) / Double(slots[head]),
                        attentionKept: samples > 0 ? kept[layer][head] / Double(samples) : nil))
            }
        }
        return Explanation(
            policy: statistics.policy, promptTokens: prompt, responseTokens: engine.seen - prompt,
            sampledSteps: samples, heads: heads)
    }
}
