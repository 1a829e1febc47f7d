internal import Ggml

/// The scores that a prompt leaves behind under a window rule: the weights that the last W queries gave to every
/// entry, computed from the ring of queries once per prompt.
struct WindowScores {
    /// Room for the products of one batch of queries.
    private static let batchBytes = 32 << 20

    let backend: Backend
    let allocator: GraphAllocator
    let cache: LayerCache
    let scores: LayerCache.Scores
    let rule: ScoringRule
    let scale: Float
    /// Keys of all entries, `[headDim, entries, kvHeads]`, as a view for a given graph.
    let keys: (Graph) -> Tensor
    /// The position of each entry, per KV head, ascending.
    let positions: [[Int]]
    /// Tokens seen, the prompt's included.
    let seen: Int
    /// How many of them came with the prompt.
    let newTokens: Int

    private var geometry: LayerGeometry { cache.plan.geometry }
    private var entries: Int { positions[0].count }

    /// - Returns: `[kvHeads][entries]`, flat.
    func compute() throws -> [Float] {
        let first = max(0, seen - scores.window)
        let firstNew = max(first, seen - newTokens)
        let perQuery = entries * geometry.queryHeads * 4
        let batch = max(1, Self.batchBytes / perQuery)
        var total = [Float](repeating: 0, count: entries * geometry.kvHeads)
        for (range, isNew) in [(first..<firstNew, false), (firstNew..<seen, true)] {
            for start in stride(from: range.lowerBound, to: range.upperBound, by: batch) {
                let part = try weights(of: start..<min(start + batch, range.upperBound), isNew: isNew)
                for index in total.indices { total[index] += part[index] }
            }
        }
        return total
    }

    /// The weights of some queries, reduced over the group and summed; normalisers of new queries go into the ring.
    private func weights(of queries: Range<Int>, isNew: Bool) throws -> [Float] {
        let (d, g, h, n) = (geometry.headDimension, geometry.groupSize, geometry.kvHeads, queries.count)
        let graph = try Graph(on: backend, capacity: 64 + g + n, allocator: allocator)
        let rows = graph.input(.i32, [n], name: "rows")
        let mask = graph.input(.f32, [entries, 1, n, h], name: "mask")
        let ring = graph.reshape(graph.rows(scores.queries, at: rows), [d, g, h, n])
        let stacked = graph.contiguous(graph.permute(ring, [0, 1, 3, 2]))  // [d, g, n, h]
        let products = graph.matmul(keys(graph), graph.scale(graph.reshape(stacked, [d, g * n, h]), by: scale))
        let masked = graph.add(graph.reshape(products, [entries, g, n, h]), mask)
        let weights: Tensor
        if isNew {
            weights = graph.softmax(masked)
            let normalizer = logDenominator(masked: masked, weights: weights, graph)  // [g, n, h]
            let byRow = graph.contiguous(graph.permute(normalizer, [0, 2, 1, 3]))  // [g, h, n]
            graph.schedule(
                graph.setRows(of: scores.normalizers, to: graph.reshape(byRow, [g * h, n]), at: rows))
        } else {
            let normalizer = graph.reshape(graph.rows(scores.normalizers, at: rows), [1, g, h, n])
            let perHead = graph.contiguous(graph.permute(normalizer, [0, 1, 3, 2]))  // [1, g, n, h]
            weights = graph.exp(graph.subtract(masked, perHead))
        }
        let sum = reduce(weights, graph)
        graph.output(sum)
        try graph.allocate()
        rows.write(queries.map { Int32($0 % scores.window) })
        mask.write(maskValues(queries))
        try graph.compute()
        return sum.values()
    }

    /// score - log(weight) of the best entry: `[group, queries, kvHeads]`.
    private func logDenominator(masked: Tensor, weights: Tensor, _ graph: Graph) -> Tensor {
        let rows = masked.count / entries
        let best = graph.reshape(graph.argmax(graph.reshape(masked, [entries, rows])), [1, rows])
        let score = graph.rows(graph.reshape(masked, [1, entries, rows]), at: best)
        let weight = graph.rows(graph.reshape(weights, [1, entries, rows]), at: best)
        return graph.reshape(graph.subtract(score, graph.log(weight)), Array(masked.shape[1...3]))
    }

    /// `[entries, group, queries, kvHeads]` to `[entries, kvHeads]`.
    private func reduce(_ weights: Tensor, _ graph: Graph) -> Tensor {
        let size = weights.strides
        let (g, h, n) = (geometry.groupSize, geometry.kvHeads, weights[2])
        let members = (0..<g).map {
            graph.view(weights, [entries, n, h], strides: [size[2], size[3]], offset: $0 * size[1])
        }
        let perQuery = members.dropFirst().reduce(members[0]) { sum, next in
            rule.groupReduction == .sum ? graph.add(sum, next) : graph.maximum(sum, next)
        }
        let stride = perQuery.strides
        let queries = (0..<n).map {
            graph.view(perQuery, [entries, h], strides: [stride[2]], offset: $0 * stride[1])
        }
        let first = n == 1 ? graph.contiguous(queries[0]) : queries[0]
        return queries.dropFirst().reduce(first) { graph.add($0, $1) }
    }

    /// A query sees the entries up to its own position.
    private func maskValues(_ queries: Range<Int>) -> [Float] {
        var mask = [Float](repeating: 0, count: entries * queries.count * geometry.kvHeads)
        var start = 0
        for head in 0..<geometry.kvHeads {
            for query in queries {
                let visible = positions[head].partitioningIndex { $0 > query }
                for index in visible..<entries { mask[start + index] = maskedScore }
                start += entries
            }
        }
        return mask
    }
}
