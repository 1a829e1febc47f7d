internal import CAttention
internal import Ggml

extension ScoringRule.Accumulation {
    /// Minus the cosine between an entry's key and the mean direction of all keys held, anew at every choice; needs no
    /// attention weights. Keys of a context that the sequence goes on from do not count.
    public static var keyDiff: Self { Self(KeyDiff()) }
}

/// Minus the cosine between a key and the mean of the keys' directions: KeyDiff.
struct KeyDiff: ScoringFormula {
    var needs: ScoringNeeds { .keys }

    func validate() throws {}

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        KeyDiffState(shape, in: arena)
    }
}

/// Nothing but room to work in: the keys are read at every choice, so that nothing drifts.
final class KeyDiffState: ScoringState {
    private let shape: SlotShape
    private let padded: Int
    /// Where the kernel puts each head's mean: `[padded, kvHeads]`.
    private let means: Tensor

    init(_ shape: SlotShape, in arena: Arena) {
        self.shape = shape
        padded = Int(attention_padded(Int32(shape.geometry.headDimension)))
        means = arena.tensor(.f32, [padded, shape.kvHeads], name: "means")
    }

    /// None that would have to be saved.
    var tensors: [(name: String, tensor: Tensor)] { [] }

    func clear() {}

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_KEYDIFF
        score.keydiff = attention_keydiff(means: means.hostFloats, padded: Int32(padded))
    }

    func attend(_ step: some ScoringStep) -> Tensor {
        step.attention(step.admit(by: scores(step.keys, in: step.graph)))
    }

    /// The scores of keys `[headDim, n, kvHeads]`: `[n, kvHeads]`.
    private func scores(_ keys: Tensor, in graph: Graph) -> Tensor {
        let directions = graph.unitRows(graph.floats(keys))
        return scores(of: directions, sum: sum(of: directions, in: graph), in: graph)
    }

    /// The sum of directions `[headDim, n, kvHeads]`: `[headDim, 1, kvHeads]`.
    private func sum(of directions: Tensor, in graph: Graph) -> Tensor {
        let byChannel = graph.contiguous(graph.permute(directions, [1, 0, 2, 3]))
        return graph.reshape(graph.sumRows(byChannel), [directions[0], 1, directions[2]])
    }

    private func scores(of directions: Tensor, sum: Tensor, in graph: Graph) -> Tensor {
        let products = graph.matmul(directions, graph.unitRows(sum))
        return graph.scale(graph.reshape(products, [directions[1], directions[2]]), by: -1)
    }

    // MARK: Prompts; column 0 is the score

    /// A part of the entries at a time, so that memory does not grow with the prompt: first the sum of all directions, then
    /// the scores.
    func addKeys(of prompt: PromptEntries, to table: inout ScoreTable) throws {
        let entries = table.positions[0].count
        let parts = stride(from: 0, to: entries, by: prompt.chunk).map { $0..<min($0 + prompt.chunk, entries) }
        var total = [Float](repeating: 0, count: prompt.geometry.headDimension * prompt.geometry.kvHeads)
        for part in parts {
            let sums = try compute(prompt, part) { directions, _, graph in sum(of: directions, in: graph) }
            for index in total.indices { total[index] += sums[index] }
        }
        var scores = table[0]
        for part in parts {
            let values = try compute(prompt, part, sum: total) { self.scores(of: $0, sum: $1!, in: $2) }
            for head in scores.indices {
                for (index, entry) in part.enumerated() { scores[head][entry] += values[head * part.count + index] }
            }
        }
        table[0] = scores
    }

    /// What is made of the directions of some of a prompt's keys, `[headDim, part, kvHeads]`.
    ///
    /// - Parameters:
    ///   - sum: of all directions, `[headDim, 1, kvHeads]`; nil if it is not wanted.
    private func compute(
        _ prompt: PromptEntries, _ part: Range<Int>, sum: [Float]? = nil,
        _ make: (_ directions: Tensor, _ sum: Tensor?, _ graph: Graph) -> Tensor
    ) throws -> [Float] {
        let graph = try Graph(on: prompt.backend, capacity: 32, allocator: prompt.allocator)
        let keys = prompt.keys(graph)
        let some = graph.view(
            keys, [keys[0], part.count, keys[2]], strides: Array(keys.strides[1...2]),
            offset: part.lowerBound * keys.strides[1])
        let input = sum.map { _ in graph.input(.f32, [keys[0], 1, keys[2]], name: "sum") }
        let result = make(graph.unitRows(graph.floats(some)), input, graph)
        graph.output(result)
        try graph.allocate()
        if let input, let sum { input.write(sum) }
        try graph.compute()
        return result.values()
    }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        ScoreTable(positions: entries.map { $0.map(\.position) })
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {}
}
