/// How one layer decides which entries stay.
public enum RetentionRule: Sendable, Hashable {
    /// Everything stays; the cache grows.
    case everything
    /// The first `sinks` positions and the most recent ones stay, `slots` in all.
    case recent(slots: Int, sinks: Int)
    /// The best scores stay, chosen anew whenever the cache is full.
    case scored(ScoringRule)
    /// A choice is made once, after the prompt; then the cache grows.
    case once(OnceRule)
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

    /// How the votes of several queries become one score.
    public enum Fusion: String, Sendable, Hashable, CaseIterable {
        /// Their sum.
        case sum
        /// The largest.
        case max
    }

    /// Over what a vote is normalised.
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
        /// The votes of the last `queries` queries are kept one by one, and fused at every choice.
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

/// A choice that is made once, after the prompt, by the weights that the prompt's last queries gave.
public struct OnceRule: Sendable, Hashable {
    /// How scores are smoothed along positions.
    public enum Pooling: String, Sendable, Hashable, CaseIterable {
        /// The mean of the neighbourhood, zeros beyond the edges included.
        case avg
        /// The largest of the neighbourhood.
        case max
    }

    /// Entries of the prompt that a KV head keeps.
    public var promptCapacity: Int
    /// The prompt's last positions, which stay and whose queries vote.
    public var window: Int
    /// Width of the neighbourhood, an odd number.
    public var kernel: Int
    /// How scores are smoothed along positions.
    public var pooling: Pooling
    /// How many entries each layer keeps.
    public var curve: LayerCurve
    /// If set, the heads of a layer share one budget by their scores, and this share of it is every head's for certain
    /// (AdaKV); if nil, all heads keep the same number.
    public var alpha: Double?

    /// Composes a rule.
    public init(
        promptCapacity: Int, window: Int, kernel: Int, pooling: Pooling, curve: LayerCurve = .uniform,
        alpha: Double? = nil
    ) {
        self.promptCapacity = promptCapacity
        self.window = window
        self.kernel = kernel
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
        guard kernel >= 1, kernel % 2 == 1 else {
            throw CacheError(.invalidPolicy, "a pooling kernel of \(kernel): an odd number is needed")
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
