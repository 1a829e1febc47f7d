/// A policy with as many entries per KV head as fit into a number of bytes.
///
/// Everything counts that a cache of constant size takes: keys, values, scores, positions, rings, probes and padding, what
/// blocks without attention remember, and the tables of a calibration as if each sequence had its own. A policy that cuts
/// the prompt and grows from there is cut to the entries whose keys and values take as much.
public struct FittedCache: Sendable {
    /// The policy with its capacity.
    public let policy: any CachePolicy
    /// Entries per KV head.
    public let entries: Int
    /// Bytes that it takes, of a policy that cuts the prompt after the cut.
    public let bytes: Int

    /// Finds the capacity.
    ///
    /// - Parameters:
    ///   - specification: a policy whose capacity is not stated. A window that is not stated either is the policy's default,
    ///     but at most a quarter of the capacity.
    ///   - limit: how many bytes it may take.
    ///   - model: whose layers and heads count.
    ///   - options: how keys and values are stored, and whether there are pins; the policy in it does not matter.
    ///   - promptTokens: tokens of the first prompt, if they are known: a policy that keeps a share of them (kvzip) is given that
    ///     share.
    ///   - registry: what knows the policy.
    /// - Throws: ``CacheError`` of kind `bytes` with the least number of bytes that works if there are too few, and other
    ///   kinds if there is no such policy, it has no capacity, or cannot be honoured for this model.
    public init(
        _ specification: PolicySpecification, in limit: Int, _ model: Model, _ options: CacheOptions,
        promptTokens: Int? = nil, registry: PolicyRegistry = .standard
    ) throws {
        if let promptTokens,
            let share = try Self(
                share: specification, of: promptTokens, in: limit, model, options, registry: registry)
        {
            self = share
            return
        }
        let search = try Search(
            specification: specification, limit: limit, model: model, options: options, registry: registry,
            full: FullCacheCost(model, options))
        self = try search.best()
    }

    /// A policy that keeps a share of the prompt's entries; nil if it is none, or its share is stated.
    private init?(
        share specification: PolicySpecification, of promptTokens: Int, in limit: Int, _ model: Model,
        _ options: CacheOptions, registry: PolicyRegistry
    ) throws {
        let descriptor = try registry.descriptor(named: specification.name)
        guard descriptor.capacity == nil, descriptor.parameter("ratio") != nil, specification["ratio"] == nil else {
            return nil
        }
        let full = try FullCacheCost(model, options)
        let room = Search.last(upTo: promptTokens) { full.bytes(of: $0) <= limit }
        guard room > 0 else {
            throw CacheError(
                .bytes,
                "\(specification) needs \(full.bytes(of: 1)) bytes at least for this model; \(limit) are allowed")
        }
        var stated = specification
        try stated.add("ratio", (1e6 * Double(room) / Double(max(1, promptTokens))).rounded(.down) / 1e6)
        policy = try registry.policy(stated)
        entries = room
        bytes = full.bytes(of: room)
    }

    fileprivate init(policy: any CachePolicy, entries: Int, bytes: Int) {
        self.policy = policy
        self.entries = entries
        self.bytes = bytes
    }
}

extension PolicySpecification {
    /// The policy with a capacity that was not stated. A window that is not stated is the policy's default, but at most a
    /// quarter of the capacity.
    ///
    /// - Throws: ``CacheError`` if the policy cannot be with such parameters.
    package func policy(entries: Int, in registry: PolicyRegistry = .standard) throws -> any CachePolicy {
        var stated = self
        try stated.addCapacity(entries, in: registry)
        let window = try registry.descriptor(named: name).parameter("window")
        let preset = try preset.flatMap { try registry.descriptor(named: name).presets[$0]?["window"] }
        if stated["window"] == nil, let usual = (preset ?? window?.defaultValue).flatMap({ Int($0) }) {
            try stated.add("window", min(usual, max(1, entries / 4)))
        }
        return try registry.policy(stated)
    }
}

/// The search for the most entries that fit.
private struct Search {
    let specification: PolicySpecification
    let limit: Int
    let model: Model
    let options: CacheOptions
    let registry: PolicyRegistry
    let full: FullCacheCost

    /// More entries per KV head than any memory holds; slots are numbered up to four times as far.
    private static let most = 1 << 22

    private func fitted(_ entries: Int) throws -> FittedCache {
        let policy = try specification.policy(entries: entries, in: registry)
        let plan = try CachePlan(model, options.with(policy), tokens: entries)
        let bytes = plan.grows ? full.bytes(of: entries) : plan.bytes + plan.sharedBytes
        return FittedCache(policy: policy, entries: entries, bytes: bytes)
    }

    func best() throws -> FittedCache {
        // Keys and values alone take no less than that, so there are no more entries.
        let most = Self.last(upTo: Self.most) { full.bytes(of: $0) <= limit }
        // Too few entries for a policy's window are no cache at all; the more, the more bytes.
        let entries = Self.last(upTo: max(1, most)) { entries in
            (try? fitted(entries)).map { $0.bytes <= limit } ?? true
        }
        guard entries >= 1, let found = try? fitted(entries), found.bytes <= limit else { throw try tooFew() }
        return found
    }

    /// What is wrong: that there are too few bytes, or what the policy says whatever its capacity is.
    private func tooFew() throws -> any Error {
        var enough = 1
        while enough < Self.most, (try? fitted(enough)) == nil { enough *= 2 }
        // The policy's own error, if it is one for any number of entries.
        let some = try fitted(enough)
        let invalid = Self.last(upTo: some.entries) { (try? fitted($0)) == nil }
        let least = try fitted(invalid + 1)
        return CacheError(
            .bytes,
            "\(specification) needs \(least.bytes) bytes at least for this model (\(least.entries) entries per KV head); "
                + "\(limit) are allowed")
    }

    /// The last number from 1 on up to another one that something holds for, 0 if there is none. It holds up to there.
    static func last(upTo most: Int, _ holds: (Int) -> Bool) -> Int {
        var (low, high) = (0, most)
        while low < high {
            let middle = (low + high + 1) / 2
            (low, high) = holds(middle) ? (middle, high) : (low, middle - 1)
        }
        return low
    }
}

extension CachePlan {
    /// Whether the cache of some layer grows with the sequence.
    fileprivate var grows: Bool {
        rules.contains { rule in
            switch rule {
            case .everything, .once: true
            case .recent, .scored: false
            }
        }
    }
}
