internal import Ggml

/// The slots of one layer: keys, values and what the policy needs to choose a victim.
///
/// Slots are in no particular order. Not Sendable: one engine writes to it.
final class LayerCache {
    /// State that a scoring rule keeps, all 32-bit floats.
    struct Scores {
        /// The position in each slot, -1 where it is empty: `[slots, kvHeads]`.
        let positions: Tensor
        /// Weights of the queries since the last hand-over: `[slots, kvHeads]`.
        let fresh: Tensor
        /// Weights of the queries before it that are still in the window: `[slots, kvHeads]`.
        ///
        /// Every `window` queries `fresh` is handed over and this one, by then zero but for rounding, is dropped:
        /// rounding errors of adding and subtracting never outlive two windows.
        let expiring: Tensor
        /// The last queries, at row position mod window: `[headDim * queryHeads, window]`.
        let queries: Tensor
        /// The logarithm of each of these queries' softmax denominator: `[queryHeads, window]`.
        let normalizers: Tensor
        /// How many queries vote.
        let window: Int
    }

    /// A normaliser of a row that holds no query: its weights become exp(-1e30) = 0.
    static let noQuery: Float = 1e30

    let plan: LayerPlan
    /// Slots per KV head.
    let slots: Int
    /// `[headDim, slots, kvHeads]`
    let keys: Tensor
    /// Transposed, so that weights times values needs no copy: `[slots, headDim, kvHeads]`
    let values: Tensor
    let scores: Scores?
    private let arena: Arena
    /// Filled slots per KV head.
    var used = 0
    /// Queries since `fresh` was last handed over.
    var queriesSinceHandOver = 0

    /// Describes the layer without allocating it.
    init(_ plan: LayerPlan, slots: Int) throws {
        let g = plan.geometry
        arena = try Arena(tensors: 8)
        self.plan = plan
        self.slots = slots
        keys = arena.tensor(plan.elementType, [g.headDimension, slots, g.kvHeads], name: "keys")
        values = arena.tensor(plan.elementType, [slots, g.headDimension, g.kvHeads], name: "values")
        guard let scoring = plan.scoring, case .windowSum(let window) = scoring.accumulation else {
            scores = nil
            return
        }
        scores = Scores(
            positions: arena.tensor(.f32, [slots, g.kvHeads], name: "positions"),
            fresh: arena.tensor(.f32, [slots, g.kvHeads], name: "fresh"),
            expiring: arena.tensor(.f32, [slots, g.kvHeads], name: "expiring"),
            queries: arena.tensor(.f32, [g.headDimension * g.queryHeads, window], name: "queries"),
            normalizers: arena.tensor(.f32, [g.queryHeads, window], name: "normalizers"),
            window: window)
    }

    /// Bytes that ``allocate(on:)`` will take, known before it is called.
    private(set) var plannedBytes = 0
    var allocatedBytes: Int { arena.allocatedBytes }

    func plan(on backend: Backend) { plannedBytes = arena.plannedBytes(on: backend) }

    func allocate(on backend: Backend) throws {
        plan(on: backend)
        try arena.allocate(on: backend)
        clear()
    }

    /// Empties every slot.
    func clear() {
        used = 0
        queriesSinceHandOver = 0
        keys.fill(byte: 0)
        values.fill(byte: 0)
        guard let scores else { return }
        scores.positions.write([Float](repeating: -1, count: scores.positions.count))
        scores.fresh.fill(byte: 0)
        scores.expiring.fill(byte: 0)
        scores.queries.fill(byte: 0)
        scores.normalizers.write([Float](repeating: Self.noQuery, count: scores.normalizers.count))
    }

    /// For each KV head, the filled slots in the order of the positions they hold.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func entries(seen: Int) -> [[(slot: Int, position: Int)]] {
        let heads = plan.geometry.kvHeads
        guard let scores else {
            let sorted = positions(seen: seen).map { (slot: plan.slot(of: $0), position: $0) }
            return Array(repeating: sorted, count: heads)
        }
        let all: [Float] = scores.positions.values()
        return (0..<heads).map { head in
            (0..<slots).filter { all[head * slots + $0] >= 0 }
                .map { (slot: $0, position: Int(all[head * slots + $0])) }
                .sorted { $0.position < $1.position }
        }
    }

    /// The positions that a rule without scores holds.
    private func positions(seen: Int) -> [Int] {
        switch plan.rule {
        case .recent(let slots, let sinks) where seen > slots:
            Array(0..<sinks) + Array(seen - (slots - sinks)..<seen)
        default: Array(0..<seen)
        }
    }
}
