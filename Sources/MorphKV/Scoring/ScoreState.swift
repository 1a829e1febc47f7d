internal import Foundation
internal import Ggml

/// What a scoring rule keeps beside keys and values; all tensors are 32-bit floats.
struct ScoreState {
    /// The part that depends on how weights become a score.
    enum Kind {
        case windowSum(WindowSumState)
        /// decay * score + weights: `[slots, kvHeads]`.
        case cumulative(score: Tensor, decay: Float)
        case profile(ProfileState)
    }

    let rule: ScoringRule
    let geometry: LayerGeometry
    let slots: Int
    /// The position in each slot, -1 where it is empty: `[slots, kvHeads]`.
    let positions: Tensor
    let kind: Kind

    init(_ rule: ScoringRule, _ geometry: LayerGeometry, slots: Int, in arena: Arena) {
        self.rule = rule
        self.geometry = geometry
        self.slots = slots
        positions = arena.tensor(.f32, [slots, geometry.kvHeads], name: "positions")
        switch rule.accumulation {
        case .windowSum(let queries):
            kind = .windowSum(WindowSumState(queries, geometry, slots: slots, in: arena))
        case .cumulative(let decay):
            kind = .cumulative(score: arena.tensor(.f32, [slots, geometry.kvHeads], name: "score"), decay: decay)
        case .profile(let queries, let fusion, let normalization):
            kind = .profile(
                ProfileState(
                    queries, fusion, normalization, rule.groupReduction, geometry, slots: slots, in: arena))
        }
    }

    /// How many of the last queries are remembered one by one, in a ring; nil if none are.
    var ringLength: Int? {
        switch kind {
        case .windowSum(let state): state.queryCount
        case .cumulative: nil
        case .profile(let state): state.queryCount
        }
    }

    /// How many of a prompt's last queries vote: all of them for sums over everything.
    func votingQueries(of prompt: Int) -> Int {
        if let ringLength { return min(prompt, ringLength) }
        guard case .cumulative(_, let decay) = kind, decay < 1 else { return prompt }
        // Votes whose weight has fallen below 1e-9 are below the rounding of the sum.
        return min(prompt, decay <= 0 ? 1 : 1 + Int(log(1e-9) / log(Double(decay))))
    }

    /// All tensors, by name.
    var tensors: [(name: String, tensor: Tensor)] {
        let more: [(String, Tensor)] =
            switch kind {
            case .windowSum(let state):
                [
                    ("fresh", state.fresh), ("expiring", state.expiring), ("queries", state.queries),
                    ("normalizers", state.normalizers),
                ]
            case .cumulative(let score, _): [("score", score)]
            case .profile(let state): [("votes", state.votes)]
            }
        return [("positions", positions)] + more
    }

    func clear() {
        positions.write([Float](repeating: -1, count: positions.count))
        switch kind {
        case .windowSum(let state): state.clear()
        case .cumulative(let score, _): score.fill(byte: 0)
        case .profile(let state): state.clear()
        }
    }

    /// For each KV head, the filled slots in the order of the positions they hold.
    func entries() -> [[(slot: Int, position: Int)]] {
        let all: [Float] = positions.values()
        return (0..<geometry.kvHeads).map { head in
            (0..<slots).filter { all[head * slots + $0] >= 0 }
                .map { (slot: $0, position: Int(all[head * slots + $0])) }
                .sorted { $0.position < $1.position }
        }
    }
}

/// The state of a sum over the last W queries of the weights they really gave.
///
/// Instead of the weights of W queries for every slot, which are more than the keys and values themselves, the queries
/// are kept, and the weights of the one that leaves the window are computed anew in the pass over the keys that the
/// current query needs anyway.
struct WindowSumState {
    /// A normaliser of a row that holds no query: its weights become exp(-1e30) = 0.
    static let noQuery: Float = 1e30

    /// Weights of the queries since the last hand-over: `[slots, kvHeads]`.
    let fresh: Tensor
    /// Weights of the queries before it that are still in the window: `[slots, kvHeads]`.
    ///
    /// Every W queries `fresh` is handed over and this one, by then zero but for rounding, is dropped: rounding
    /// errors of adding and subtracting never outlive two windows.
    let expiring: Tensor
    /// The last queries, at row position mod W: `[headDim * queryHeads, W]`.
    let queries: Tensor
    /// The logarithm of each of these queries' softmax denominator: `[queryHeads, W]`.
    let normalizers: Tensor
    /// W: how many queries vote.
    let queryCount: Int

    init(_ queryCount: Int, _ geometry: LayerGeometry, slots: Int, in arena: Arena) {
        self.queryCount = queryCount
        fresh = arena.tensor(.f32, [slots, geometry.kvHeads], name: "fresh")
        expiring = arena.tensor(.f32, [slots, geometry.kvHeads], name: "expiring")
        queries = arena.tensor(.f32, [geometry.headDimension * geometry.queryHeads, queryCount], name: "queries")
        normalizers = arena.tensor(.f32, [geometry.queryHeads, queryCount], name: "normalizers")
    }

    func clear() {
        fresh.fill(byte: 0)
        expiring.fill(byte: 0)
        queries.fill(byte: 0)
        normalizers.write([Float](repeating: Self.noQuery, count: normalizers.count))
    }
}

/// The votes of the last queries, one by one.
struct ProfileState {
    /// At row position mod ring length, the vote of each query: `[slots * votersPerHead * kvHeads, ring length]`.
    ///
    /// A vote is the weight that the query really gave (normalisation full) or its score before the softmax
    /// (candidates), for every query head (candidates with group max) or reduced over the group.
    let votes: Tensor
    let queryCount: Int
    let fusion: ScoringRule.Fusion
    let normalization: ScoringRule.Normalization
    let groupReduction: ScoringRule.GroupReduction
    /// Votes per KV head and query: the group's size where each query head's vote is normalised by itself, else 1.
    let votersPerHead: Int
    /// What a slot's vote is for queries that have not seen its entry.
    let unseen: Float

    init(
        _ queryCount: Int, _ fusion: ScoringRule.Fusion, _ normalization: ScoringRule.Normalization,
        _ groupReduction: ScoringRule.GroupReduction, _ geometry: LayerGeometry, slots: Int, in arena: Arena
    ) {
        self.queryCount = queryCount
        self.fusion = fusion
        self.normalization = normalization
        self.groupReduction = groupReduction
        votersPerHead = normalization == .candidates && groupReduction == .max ? geometry.groupSize : 1
        unseen = normalization == .candidates ? maskedScore : 0
        votes = arena.tensor(.f32, [slots * votersPerHead * geometry.kvHeads, queryCount], name: "votes")
    }

    func clear() { votes.write([Float](repeating: unseen, count: votes.count)) }
}
