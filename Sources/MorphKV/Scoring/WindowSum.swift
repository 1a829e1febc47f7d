internal import CAttention
internal import Ggml

extension ScoringRule.Accumulation {
    /// The sum over the last `queries` queries of the weights they really gave; needs the queries only.
    public static func windowSum(queries: Int) -> Self { Self(WindowSum(queries: queries)) }
}

/// The sum over the last queries of the weights they really gave: MorphKV with sum fusion.
struct WindowSum: ScoringFormula {
    let queries: Int

    var needs: ScoringNeeds { [.weights, .queries] }
    var rememberedQueries: Int { queries }

    func validate() throws { try ScoringRule.checkWindow(of: queries) }

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        WindowSumState(queries, rule.groupReduction, shape, in: arena)
    }
}

/// Two sums per slot and the last W queries.
///
/// The weights of W queries for every slot would be more than the keys and values themselves. Instead the queries are
/// kept, and the weights of the one that leaves the window are computed anew in the pass over the keys that the current
/// query needs anyway.
final class WindowSumState: ScoringState {
    /// A normalizer of a row that holds no query: its weights become exp(-1e30) = 0.
    private static let noQuery: Float = 1e30

    /// Weights given since the last rotation: `[slots, kvHeads]`.
    private let fresh: Tensor
    /// Weights given before it, by queries that are still in the window: `[slots, kvHeads]`.
    ///
    /// Every W queries the sums rotate: `fresh` takes the place of this one, which by then is zero but for rounding, and
    /// starts at zero. So rounding errors of adding and subtracting never outlive two windows.
    private let expiring: Tensor
    /// The last queries, at row position mod W; behind them those of each block that attends to the layer's entries:
    /// `[headDim * queryHeads, W * (1 + readers)]`, of each sequence.
    private let queries: Tensor
    /// The logarithm of each of these queries' softmax denominator: `[queryHeads, W * (1 + readers)]`, of each sequence.
    private let normalizers: Tensor
    /// W: how many queries count.
    private let queryCount: Int
    private let groupReduction: ScoringRule.GroupReduction
    private let shape: SlotShape
    /// Queries since the last rotation.
    private(set) var phase = 0

    init(_ queryCount: Int, _ groupReduction: ScoringRule.GroupReduction, _ shape: SlotShape, in arena: Arena) {
        let geometry = shape.geometry
        self.queryCount = queryCount
        self.groupReduction = groupReduction
        self.shape = shape
        fresh = shape.tensor("fresh", in: arena)
        expiring = shape.tensor("expiring", in: arena)
        let heads = geometry.queryHeads / shape.sequences
        let rows = queryCount * (1 + geometry.readers)
        queries = arena.tensor(.f32, [geometry.headDimension * heads, rows, shape.sequences], name: "queries")
        normalizers = arena.tensor(.f32, [heads, rows, shape.sequences], name: "normalizers")
    }

    var tensors: [(name: String, tensor: Tensor)] {
        [("fresh", fresh), ("expiring", expiring), ("queries", queries), ("normalizers", normalizers)]
    }

    func clear() {
        phase = 0
        fresh.fill(byte: 0)
        expiring.fill(byte: 0)
        queries.fill(byte: 0)
        normalizers.write([Float](repeating: Self.noQuery, count: normalizers.count))
    }

    func advance(by tokens: Int) {
        for _ in 0..<tokens { phase = phase % queryCount + 1 }
    }

    func restore(phase: Int) -> Bool {
        self.phase = phase
        return (0...queryCount).contains(phase)
    }

    /// Sums what the queries of the window gave anew: what leaves the window later is computed from the keys as they are now.
    /// The kernel does so for the entries that were moved, graphs for all.
    func keysMoved(_ move: KeyMove, positions: () -> [[Int]]) throws {
        let geometry = shape.geometry
        if move.shift != 0 {
            try move.turn(
                queries,
                (0..<geometry.queryHeads * queries[1]).map {
                    attention_turn(row: Int32($0), distance: Int32(-move.shift))
                })
        }
        if let recount = move.recount { return recount(phase) }
        let keys = PromptEntries(
            backend: move.backend, allocator: move.allocator, geometry: geometry, scale: move.scale,
            tokens: move.seen..<move.seen, chunk: shape.slots, keys: move.keys)
        let entries = positions().map { $0.map { $0 < 0 ? Int.max : $0 } }
        let window = max(0, move.seen - queryCount)..<move.seen
        var sums = ScoreTable(positions: entries)
        for part in PromptBatch.ranges(of: window, scores: shape.slots * geometry.queryHeads) {
            for reader in 0...geometry.readers { sums.add(try recounted(part, keys, entries, reader: reader)) }
        }
        expiring.write(sums[0].flatMap { $0 })
        fresh.fill(byte: 0)
        phase = 0
    }

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_WINDOW_SUM
        score.window_sum = attention_window_sum(
            query_count: Int32(queryCount), fresh: fresh.hostFloats, expiring: expiring.hostFloats,
            queries: queries.hostFloats, normalizers: normalizers.hostFloats)
    }

    func describe(reader: Int, in score: inout attention_score) {
        score.window_sum.queries += reader * queryCount * queries[0]
        score.window_sum.normalizers += reader * queryCount * normalizers[0]
    }

    func attend(_ step: some ScoringStep) -> Tensor {
        let (graph, row) = (step.graph, step.ringRow(of: queryCount))
        let rotates = step.scalar("rotates") { [queryCount] in $0.phase == queryCount ? 1 : 0 }
        let stays = step.scalar("stays") { [queryCount] in $0.phase == queryCount ? 0 : 1 }
        var fresh = graph.multiply(self.fresh, stays)
        var expiring = graph.add(graph.multiply(self.expiring, stays), graph.multiply(self.fresh, rotates))
        let slot = step.admit(by: graph.add(fresh, expiring))
        fresh = step.write(step.zeros, to: fresh, at: slot)
        expiring = step.write(step.zeros, to: expiring, at: slot)

        return weigh(step, slot, at: row, fresh, expiring)
    }

    func read(_ step: some ScoringStep, reader: Int) -> Tensor {
        // The sums rotated when the layer itself attended.
        weigh(step, step.held, at: step.ringRow(of: queryCount, from: reader * queryCount), fresh, expiring)
    }

    /// Attends, and brings the sums up to date.
    private func weigh(
        _ step: some ScoringStep, _ slot: AdmittedSlot, at row: Tensor, _ fresh: Tensor, _ expiring: Tensor
    ) -> Tensor {
        let graph = step.graph
        // One pass over the keys serves this token's queries and those that now leave the window.
        let leaving = graph.rows(queries, at: row)
        graph.schedule(leaving)
        let both = step.products(graph.concat(step.queries, step.grouped(leaving), along: 1), slot)
        let (group, heads) = (shape.geometry.groupSize, shape.kvHeads)
        func half(_ index: Int) -> Tensor {
            graph.view(
                both, [shape.slots, group, heads], strides: Array(both.strides[1...2]),
                offset: index * group * both.strides[1])
        }
        let masked = step.masked(half(0), slot)
        let weights = step.weights(masked)
        let leavingWeights = recomputed(half(1), slot, row, step)
        let normalizer = graph.logDenominators(scores: masked, weights: weights)
        remember(step.queries, normalizer, at: row, count: 1, in: graph)

        let now = graph.reduceGroup(weights, by: groupReduction)
        let then = graph.reduceGroup(leavingWeights, by: groupReduction)
        graph.schedule(graph.copy(graph.add(fresh, now), to: self.fresh))
        graph.schedule(graph.copy(graph.subtract(expiring, then), to: self.expiring))
        return step.output(weights, slot)
    }

    /// The weights that the query now leaving the window gave, from its scores and its stored normalizer; entries
    /// younger than that query got none.
    private func recomputed(_ scores: Tensor, _ slot: AdmittedSlot, _ row: Tensor, _ step: some ScoringStep) -> Tensor {
        let (graph, geometry) = (step.graph, shape.geometry)
        let normalizer = graph.rows(normalizers, at: row)
        graph.schedule(normalizer)
        let leavingPosition = step.scalar("leavingPosition") { [queryCount] in
            Float($0.position) - Float(queryCount) + 0.5
        }
        let isYounger = graph.step(graph.subtract(slot.positions, leavingPosition))
        let hidden = graph.reshape(graph.scale(isYounger, by: maskedScore), [shape.slots, 1, shape.kvHeads])
        return graph.exp(
            graph.subtract(
                graph.add(scores, hidden), graph.reshape(normalizer, [1, geometry.groupSize, shape.kvHeads])))
    }

    /// Puts queries and the logarithms of their softmax denominators, `queryHeads` values each, into the rings.
    private func remember(_ queries: Tensor, _ normalizers: Tensor, at rows: Tensor, count: Int, in graph: Graph) {
        let (heads, sequences) = (shape.geometry.queryHeads / shape.sequences, shape.sequences)
        let indices = graph.reshape(rows, [count, sequences])
        graph.schedule(
            graph.setRows(
                of: self.normalizers, to: graph.reshape(normalizers, [heads, count, sequences]), at: indices))
        let flat = graph.reshape(queries, [shape.geometry.headDimension * heads, count, sequences])
        graph.schedule(graph.setRows(of: self.queries, to: flat, at: indices))
    }

    // MARK: Prompts and choices on the host; column 0 is the sum

    func countedQueries(of tokens: Int) -> Int { min(tokens, queryCount) }

    func tally(_ batch: PromptBatch) -> Tensor {
        let (graph, count) = (batch.graph, batch.positions.count)
        let rows = batch.input(
            .i32, [count], name: "rows", batch.positions.map { Int32(batch.reader * queryCount + $0 % queryCount) })
        let byHead = graph.logDenominators(scores: batch.scores, weights: batch.weights)
        let byQuery = graph.permute(graph.reshape(byHead, [count, shape.geometry.queryHeads]), [1, 0, 2, 3])
        remember(batch.queries, graph.contiguous(byQuery), at: rows, count: count, in: graph)
        return batch.summedWeights(by: groupReduction)
    }

    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws {
        let first = max(0, prompt.tokens.upperBound - queryCount)
        guard first < prompt.tokens.lowerBound else { return }
        for reader in 0...shape.geometry.readers {
            table.add(try recounted(first..<prompt.tokens.lowerBound, prompt, table.positions, reader: reader))
        }
    }

    /// The weights that queries in the ring gave, from their stored normalizers, summed: `[kvHead][entry]`.
    private func recounted(
        _ positions: Range<Int>, _ prompt: PromptEntries, _ entries: [[Int]], reader: Int
    ) throws -> [[Float]] {
        let (g, n, count) = (shape.geometry, positions.count, entries[0].count)
        let graph = try Graph(on: prompt.backend, capacity: 512, allocator: prompt.allocator)
        let rows = graph.input(.i32, [n], name: "rows")
        let hidden = graph.input(.f32, [count, n, 1, g.kvHeads], name: "hidden")
        let ring = graph.reshape(graph.rows(queries, at: rows), [g.headDimension, g.queryHeads, n])
        let products = graph.matmul(
            prompt.keys(graph), graph.permute(graph.scale(ring, by: prompt.scale), [0, 2, 1, 3]))
        let byQuery = graph.rows(normalizers, at: rows)  // [queryHeads, n]
        let denominators = graph.reshape(
            graph.contiguous(graph.permute(byQuery, [1, 0, 2, 3])), [1, n, g.queryHeads])
        let shifted = graph.reshape(graph.subtract(products, denominators), [count, n, g.groupSize, g.kvHeads])
        let weights = graph.reshape(graph.exp(graph.add(shifted, hidden)), [count * n, g.groupSize, g.kvHeads])
        let perHead = graph.reshape(graph.reduceGroup(weights, by: groupReduction), [count, n, g.kvHeads])
        let sum = graph.reduceRows(perHead, by: .sum)
        graph.output(sum)
        try graph.allocate()
        rows.write(positions.map { Int32(reader * queryCount + $0 % queryCount) })
        hidden.write(
            entries.flatMap { held in
                positions.flatMap { query in held.map { $0 > query ? maskedScore : 0 } }
            })
        try graph.compute()
        let all: [Float] = sum.values()
        return (0..<g.kvHeads).map { Array(all[$0 * count..<($0 + 1) * count]) }
    }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        var table = ScoreTable(positions: entries.map { $0.map(\.position) })
        table[0] = shape.gather(zip(fresh.values(), expiring.values()).map { (a: Float, b: Float) in a + b }, entries)
        return table
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        let sums = table[0]
        expiring.write(shape.scatter(kept, otherwise: 0) { sums[$0][$1] })
        fresh.fill(byte: 0)
        phase = 0
    }
}
