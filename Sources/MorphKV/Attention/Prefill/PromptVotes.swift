internal import Ggml

/// Counts the votes of a prompt's queries, a batch of queries at a time, so that the whole matrix of attention weights
/// never exists.
struct PromptVotes {
    /// Room for the products of one batch of queries.
    private static let batchBytes = 32 << 20

    let backend: Backend
    let allocator: GraphAllocator
    let layer: LayerCache
    /// What attention scores are multiplied by before the softmax.
    let scale: Float
    let mask: AttentionMask
    /// Tokens before the prompt.
    let before: Int
    /// Tokens of the prompt.
    let tokens: Int
    /// Whether this is (a part of) the sequence's first prompt.
    let isFirstPrompt: Bool

    private var geometry: LayerGeometry { layer.plan.geometry }

    /// How many of the prompt's last queries vote.
    var votingQueries: Int {
        if let scores = layer.scores { return scores.votingQueries(of: tokens) }
        guard case .once(let rule) = layer.plan.rule, isFirstPrompt else { return 0 }
        return min(tokens, rule.window)
    }

    /// The queries of one chunk of the prompt and what they see.
    struct Ballot {
        /// Queries `[headDim, queryHeads, count]` of the prompt's tokens `tokens`, as a view in a given graph.
        let queries: (Graph, Range<Int>) -> Tensor
        /// The prompt's tokens that vote.
        let tokens: Range<Int>
        /// The keys they see: `[headDim, visible, kvHeads]`, as a view in a given graph.
        let keys: (Graph) -> Tensor
        let visible: Int
    }

    func count(_ ballot: Ballot, into table: inout ScoreTable) throws {
        let perQuery = ballot.visible * geometry.queryHeads * 4
        let batch = max(1, Self.batchBytes / perQuery)
        for start in stride(from: ballot.tokens.lowerBound, to: ballot.tokens.upperBound, by: batch) {
            try countBatch(ballot, start..<min(start + batch, ballot.tokens.upperBound), into: &table)
        }
    }

    private func countBatch(_ ballot: Ballot, _ tokens: Range<Int>, into table: inout ScoreTable) throws {
        let graph = try Graph(on: backend, capacity: 512, allocator: allocator)
        let positions = before + tokens.lowerBound..<before + tokens.upperBound
        var fill: [() -> Void] = []
        let result = tally(ballot, tokens, positions, in: graph, fill: &fill)
        graph.output(result)
        try graph.allocate()
        for action in fill { action() }
        try graph.compute()
        collect(result.values(), positions, visible: ballot.visible, into: &table)
    }

    /// What the rule wants of a batch: sums `[visible, 1, kvHeads]` or votes `[visible, queries, voters * kvHeads]`.
    ///
    /// - Parameter fill: what gives the graph's inputs their values once they have memory.
    private func tally(
        _ ballot: Ballot, _ tokens: Range<Int>, _ positions: Range<Int>, in graph: Graph, fill: inout [() -> Void]
    ) -> Tensor {
        let queries = ballot.queries(graph, tokens)
        let products = graph.scale(
            graph.matmul(ballot.keys(graph), graph.permute(queries, [0, 2, 1, 3])), by: scale)
        if case .profile(let state) = layer.scores?.kind, state.normalization == .candidates {
            return state.groupReduction == .sum ? perHead(products, graph) : products
        }
        let maskInput = graph.input(
            .f16, [ballot.visible, positions.count, mask.shape(queries: positions)[2]], name: "mask")
        fill.append { maskInput.write(mask.values(queries: positions, visible: ballot.visible)) }
        let weights = graph.softmax(products, mask: maskInput)  // [visible, queries, queryHeads]
        let votes = perHead(weights, graph)
        switch layer.scores?.kind {
        case .profile: return votes
        case .cumulative(_, let decay) where decay > 0 && decay < 1:
            let factors = graph.input(.f32, [1, tokens.count], name: "factors")
            fill.append { factors.write(tokens.map { power(decay, self.tokens - 1 - $0) }) }
            return graph.reduceRows(graph.multiply(votes, factors), by: .sum)
        case .windowSum(let state):
            let rows = graph.input(.i32, [tokens.count], name: "rows")
            fill.append { rows.write(positions.map { Int32($0 % state.queryCount) }) }
            remember(queries, scores: products, weights: weights, at: rows, state, graph)
            return graph.reduceRows(votes, by: .sum)
        case .cumulative, nil:
            return graph.reduceRows(votes, by: .sum)
        }
    }

    /// Reduces the query heads of each group: `[visible, queries, queryHeads]` to `[visible, queries, kvHeads]`.
    private func perHead(_ values: Tensor, _ graph: Graph) -> Tensor {
        let (g, h) = (geometry.groupSize, geometry.kvHeads)
        let (visible, queries) = (values[0], values[1])
        let reduction = layer.scores?.rule.groupReduction ?? .sum
        let reduced = graph.reduceGroup(graph.reshape(values, [visible * queries, g, h]), by: reduction)
        return graph.reshape(reduced, [visible, queries, h])
    }

    /// Puts queries and the logarithms of their softmax denominators into the ring.
    private func remember(
        _ queries: Tensor, scores: Tensor, weights: Tensor, at rows: Tensor, _ state: WindowSumState, _ graph: Graph
    ) {
        let (count, heads) = (weights[1], weights[2])
        let byHead = graph.reshape(graph.logDenominators(scores: scores, weights: weights), [count, heads])
        let byQuery = graph.contiguous(graph.permute(byHead, [1, 0, 2, 3]))
        graph.schedule(graph.setRows(of: state.normalizers, to: byQuery, at: rows))
        let flat = graph.reshape(queries, [geometry.headDimension * heads, count])
        graph.schedule(graph.setRows(of: state.queries, to: flat, at: rows))
    }

    private func collect(_ values: [Float], _ positions: Range<Int>, visible: Int, into table: inout ScoreTable) {
        guard case .profile(let state) = layer.scores?.kind else {
            for head in table.sums.indices {
                for entry in 0..<visible { table.sums[head][entry] += values[head * visible + entry] }
            }
            return
        }
        let voters = state.votersPerHead
        for (index, query) in positions.enumerated() {
            table.votes[query] = table.positions.enumerated().map { head, entries in
                let seen = entries.partitioningIndex { $0 > query }
                return (0..<voters).map { voter in
                    let start = ((head * voters + voter) * positions.count + index) * visible
                    return Array(values[start..<start + seen])
                        + Array(repeating: state.unseen, count: entries.count - seen)
                }
            }
        }
    }

    private func power(_ base: Float, _ exponent: Int) -> Float {
        (0..<exponent).reduce(Float(1)) { product, _ in product * base }
    }
}

extension PromptVotes {
    /// Adds what the sequence's earlier queries have to say, under the rule's own terms, to the prompt's own votes.
    ///
    /// - Parameters:
    ///   - old: the scores of the entries from before the prompt, which come first in `table`.
    ///   - keys: the keys of all entries, as a view in a given graph.
    func addEarlierVotes(_ old: ScoreTable, keys: (Graph) -> Tensor, to table: inout ScoreTable) throws {
        switch layer.scores?.kind {
        case .windowSum(let state):
            let first = max(0, before + tokens - state.queryCount)
            guard first < before else { return }
            let sums = try recount(first..<before, state, keys: keys, table.positions)
            for (head, values) in sums.enumerated() {
                for (entry, value) in values.enumerated() { table.sums[head][entry] += value }
            }
        case .cumulative(_, let decay):
            let factor = decay == 1 ? 1 : power(decay, tokens)
            for (head, values) in old.sums.enumerated() {
                for (entry, value) in values.enumerated() { table.sums[head][entry] += factor * value }
            }
        case .profile(let state):
            // None of them is in the window any more after a prompt as long as the window.
            for query in min(before, max(0, before + tokens - state.queryCount))..<before {
                guard let votes = old.votes[query] else { continue }
                let new = Array(repeating: state.unseen, count: tokens)
                table.votes[query] = votes.map { $0.map { $0 + new } }
            }
        case nil: break
        }
    }

    /// The weights that queries in the ring gave, from their stored normalisers, summed: `[kvHead][entry]`.
    private func recount(
        _ queries: Range<Int>, _ state: WindowSumState, keys: (Graph) -> Tensor, _ positions: [[Int]]
    ) throws -> [[Float]] {
        let (d, h, n) = (geometry.headDimension, geometry.kvHeads, queries.count)
        let entries = positions[0].count
        let graph = try Graph(on: backend, capacity: 512, allocator: allocator)
        let rows = graph.input(.i32, [n], name: "rows")
        let hidden = graph.input(.f32, [entries, n, 1, h], name: "hidden")
        let ring = graph.reshape(graph.rows(state.queries, at: rows), [d, geometry.queryHeads, n])
        let products = graph.matmul(keys(graph), graph.permute(graph.scale(ring, by: scale), [0, 2, 1, 3]))
        let byQuery = graph.rows(state.normalizers, at: rows)  // [queryHeads, n]
        let normalizers = graph.reshape(
            graph.contiguous(graph.permute(byQuery, [1, 0, 2, 3])), [1, n, geometry.queryHeads])
        let shifted = graph.subtract(products, normalizers)
        let visible = graph.add(graph.reshape(shifted, [entries, n, geometry.groupSize, h]), hidden)
        let weights = graph.reshape(graph.exp(visible), [entries, n, geometry.queryHeads])
        let sum = graph.reduceRows(perHead(weights, graph), by: .sum)
        graph.output(sum)
        try graph.allocate()
        rows.write(queries.map { Int32($0 % state.queryCount) })
        hidden.write(
            positions.flatMap { held in
                queries.flatMap { query in held.map { $0 > query ? maskedScore : 0 } }
            })
        try graph.compute()
        let all: [Float] = sum.values()
        return (0..<h).map { Array(all[$0 * entries..<($0 + 1) * entries]) }
    }
}
