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
    ///
    /// Every way is one value of a type of its own (see `ScoringFormula`), made by one of the functions here.
    public struct Accumulation: Sendable, Hashable {
        let formula: any ScoringFormula

        init(_ formula: some ScoringFormula) { self.formula = formula }

        /// Whether both are the same formula with the same parameters.
        public static func == (a: Self, b: Self) -> Bool { a.formula.isEqual(to: b.formula) }
        /// Hashes the formula and its parameters.
        public func hash(into hasher: inout Hasher) { formula.hash(into: &hasher) }
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
    /// Entries of the sequence's first prompt that a KV head is sure to keep: none is evicted while it holds no more of
    /// them; of a longer prompt the best by score stay. 0 for none.
    public var promptFloor: Int

    /// Composes a rule.
    public init(
        capacity: Int, window: Int, sinks: Int = 0, accumulation: Accumulation, groupReduction: GroupReduction = .sum,
        sharesChoice: Bool = false, evictAfter: Double = 1, promptFloor: Int = 0
    ) {
        self.capacity = capacity
        self.window = window
        self.sinks = sinks
        self.accumulation = accumulation
        self.groupReduction = groupReduction
        self.sharesChoice = sharesChoice
        self.evictAfter = evictAfter
        self.promptFloor = promptFloor
    }

    /// The rule with a share of its capacity for the first prompt.
    ///
    /// - Parameter share: 0 to 1; the window, the sinks and one more entry fit beside it in any case.
    public func keeping(prompt share: Double) -> ScoringRule {
        // Not in whole numbers, which may be too large for sums before they are checked.
        let room = Double(capacity) - Double(window) - Double(sinks) - 1
        var rule = self
        rule.promptFloor = Int(exactly: max(0, min(share * Double(capacity), room)).rounded(.down)) ?? 0
        return rule
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
        guard promptFloor >= 0, promptFloor < capacity - window - sinks else {
            throw CacheError(
                .invalidPolicy,
                "a floor of \(promptFloor) for the prompt leaves no room beside \(window + sinks) protected entries in a "
                    + "capacity of \(capacity)")
        }
        guard !isBursty || !accumulation.formula.needs.contains(.keys) else {
            throw CacheError(.invalidPolicy, "scores that are read off the keys cannot drop many entries at a time")
        }
        guard evictAfter >= 1, evictAfter <= 64 else {
            throw CacheError(.invalidPolicy, "evictAfter is \(evictAfter), not 1 to 64 times the capacity")
        }
        try accumulation.formula.validate()
    }
}

extension ScoringRule {
    /// The formula, if it wants features of tokens.
    var featureSource: FeatureSource? {
        accumulation.formula.needs.contains(.features) ? FeatureSource(formula: accumulation.formula) : nil
    }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` when nothing would be remembered.
    static func checkWindow(of queries: Int) throws {
        guard queries >= 1 else {
            throw CacheError(.invalidPolicy, "\(queries) queries cannot vote; at least 1 is needed")
        }
    }
}
