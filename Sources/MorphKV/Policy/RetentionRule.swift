/// How one layer decides which entries stay.
public enum RetentionRule: Sendable, Hashable {
    /// Everything stays; the cache grows.
    case everything
    /// The first `sinks` positions and the most recent ones stay, `slots` in all.
    case recent(slots: Int, sinks: Int)
    /// The best scores stay, chosen anew whenever the cache is full.
    case scored(ScoringRule)
    /// A choice is made once, after the prompt; then the cache grows.
    case once(PromptRule)
}

/// Which entries stay by score: a composition of parts that every device executes.
public struct ScoringRule: Sendable, Hashable {
    /// How the query heads that share a KV head become one weight.
    public enum GroupReduction: String, Sendable, Hashable, CaseIterable {
        /// The sum over the group.
        case sum
        /// The largest in the group.
        case max
    }

    /// How the attention scores that several queries gave an entry become one.
    public enum Fusion: String, Sendable, Hashable, CaseIterable {
        /// Their sum.
        case sum
        /// The largest.
        case max
    }

    /// Over which entries a query's attention scores are normalised.
    public enum Normalization: String, Sendable, Hashable, CaseIterable {
        /// Over everything the query attended to: the weight it really gave.
        case full
        /// Over the entries that may be evicted, anew at every choice.
        case candidates
    }

    /// How weights of successive queries become a score.
    public enum Accumulation: Sendable, Hashable {
        /// The sum over the last `queries` queries of the weights they really gave; needs the queries only.
        case windowSum(queries: Int)
        /// decay * score + weights, over all queries: 1 sums everything up, 0 is the last query alone.
        case cumulative(decay: Float)
        /// The attention scores of the last `queries` queries are kept one by one, and fused at every choice.
        case profile(queries: Int, fusion: Fusion, normalization: Normalization)
    }

    /// Entries a KV head holds after a choice, the current token included.
    public var capacity: Int
    /// The positions just before the current one that always stay.
    public var window: Int
    /// The first positions of the sequence that always stay.
    public var sinks: Int
    /// How weights of successive queries become a score.
    public var accumulation: Accumulation
    /// How the query heads of a group become one weight.
    public var groupReduction: GroupReduction
    /// Whether all KV heads of a layer keep the same positions, by the sum of their scores.
    public var sharesChoice: Bool
    /// A choice is made only when there would be this many times `capacity` entries.
    public var evictAfter: Double

    /// Composes a rule.
    public init(
        capacity: Int, window: Int, sinks: Int = 0, accumulation: Accumulation, groupReduction: GroupReduction = .sum,
        sharesChoice: Bool = false, evictAfter: Double = 1
    ) {
        self.capacity = capacity
        self.window = window
        self.sinks = sinks
        self.accumulation = accumulation
        self.groupReduction = groupReduction
        self.sharesChoice = sharesChoice
        self.evictAfter = evictAfter
    }

    /// Slots a KV head needs: the entries it may hold just before a choice is due.
    public var slots: Int { max(capacity, Int((Double(capacity) * evictAfter).rounded(.up)) - 1) }

    /// Whether a choice drops many entries at a time instead of one per step.
    var isBursty: Bool { slots > capacity }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` when nothing would be left to choose.
    func validate() throws {
        guard window >= 0, sinks >= 0 else {
            throw CacheError(.invalidPolicy, "a window of \(window) and \(sinks) sinks cannot be negative")
        }
        guard capacity > window + sinks else {
            let protected = sinks > 0 ? "window + sinks (\(window) + \(sinks))" : "the window (\(window))"
            throw CacheError(
                .invalidPolicy,
                "a capacity of \(capacity) must be larger than \(protected): it counts the current token too")
        }
        guard evictAfter >= 1, evictAfter <= 64 else {
            throw CacheError(.invalidPolicy, "evictAfter is \(evictAfter), not 1 to 64 times the capacity")
        }
        switch accumulation {
        case .windowSum(let queries), .profile(let queries, _, _):
            guard queries >= 1 else {
                throw CacheError(.invalidPolicy, "\(queries) queries cannot vote; at least 1 is needed")
            }
        case .cumulative(let decay):
            guard (0...1).contains(decay) else {
                throw CacheError(.invalidPolicy, "a decay of \(decay): 0 to 1 is needed")
            }
        }
    }
}

/// What stays of a prompt, chosen once after it by the attention scores of its last queries; then the cache grows.
public struct PromptRule: Sendable, Hashable {
    /// How scores are smoothed along positions.
    public enum Pooling: String, Sendable, Hashable, CaseIterable {
        /// The mean of the neighbourhood, zeros beyond the edges included.
        case avg
        /// The largest of the neighbourhood.
        case max
    }

    /// Entries of the prompt that a KV head keeps.
    public var promptCapacity: Int
    /// The prompt's last positions, which stay and by whose queries the others are chosen.
    public var window: Int
    /// How many neighbouring positions are pooled, an odd number.
    public var poolingWidth: Int
    /// How scores are smoothed along positions.
    public var pooling: Pooling
    /// How the budgets of the layers differ.
    public var curve: LayerCurve
    /// If set, the heads of a layer share one budget by their scores, of which every head has at least this share of its
    /// even part (AdaKV); if nil, all heads keep the same number.
    public var alpha: Double?

    /// Composes a rule.
    public init(
        promptCapacity: Int, window: Int, poolingWidth: Int, pooling: Pooling, curve: LayerCurve = .uniform,
        alpha: Double? = nil
    ) {
        self.promptCapacity = promptCapacity
        self.window = window
        self.poolingWidth = poolingWidth
        self.pooling = pooling
        self.curve = curve
        self.alpha = alpha
    }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` when the parameters contradict each other.
    func validate() throws {
        guard window >= 1, promptCapacity > window else {
            throw CacheError(
                .invalidPolicy, "promptCapacity (\(promptCapacity)) must be larger than the window (\(window))")
        }
        guard poolingWidth >= 1, poolingWidth % 2 == 1 else {
            throw CacheError(.invalidPolicy, "a pooling kernel of \(poolingWidth): an odd number is needed")
        }
        if let alpha, !(0...1).contains(alpha) {
            throw CacheError(.invalidPolicy, "an alpha of \(alpha): 0 to 1 is needed")
        }
        if case .pyramid(let beta) = curve, beta < 1 {
            throw CacheError(.invalidPolicy, "a beta of \(beta): 1 or more is needed")
        }
    }

    /// Whether a prompt of that length is cut.
    func cuts(_ prompt: Int) -> Bool { alpha == nil ? prompt > promptCapacity : prompt >= promptCapacity }

    /// Entries that a layer keeps of a prompt per KV head, on average over the heads, the window included.
    func kept(of prompt: Int, in layer: LayerGeometry) -> Int {
        guard cuts(prompt) else { return prompt }
        let base = promptCapacity - window
        if case .pyramid = curve, prompt < 2 * base { return promptCapacity }
        return curve.budget(base, most: prompt - window, layer: layer.layer, of: layer.layerCount) + window
    }

    /// Slots that a layer needs for what it keeps of a prompt; heads that keep different numbers need none.
    func slots(for prompt: Int, in layer: LayerGeometry) -> Int {
        cuts(prompt) && alpha != nil ? 0 : kept(of: prompt, in: layer)
    }
}

extension RetentionRule {
    /// Whether heads end with different numbers of entries.
    var cutsUnevenly: Bool {
        if case .once(let rule) = self { rule.alpha != nil } else { false }
    }
}
