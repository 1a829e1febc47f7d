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
