/// How one layer decides which entries stay.
public enum RetentionRule: Sendable, Hashable {
    /// Everything stays; the cache grows.
    case everything
    /// The first `sinks` positions and the most recent ones stay, `slots` in all.
    case recent(slots: Int, sinks: Int)
    /// The best scores stay.
    case scored(ScoringRule)
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

    /// How weights of successive queries become a score.
    public enum Accumulation: Sendable, Hashable {
        /// The sum over the last `queries` queries, each with the weights it really had.
        case windowSum(queries: Int)
    }

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The positions just before the current one that always stay.
    public var window: Int
    /// The first positions of the sequence that always stay.
    public var sinks: Int
    /// How weights of successive queries become a score.
    public var accumulation: Accumulation
    /// How the query heads of a group become one weight.
    public var groupReduction: GroupReduction

    /// Composes a rule.
    public init(
        capacity: Int, window: Int, sinks: Int = 0, accumulation: Accumulation, groupReduction: GroupReduction = .sum
    ) {
        self.capacity = capacity
        self.window = window
        self.sinks = sinks
        self.accumulation = accumulation
        self.groupReduction = groupReduction
    }

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
        if case .windowSum(let queries) = accumulation, queries < 1 {
            throw CacheError(.invalidPolicy, "a window of \(queries) queries cannot vote; it needs at least 1")
        }
    }
}
