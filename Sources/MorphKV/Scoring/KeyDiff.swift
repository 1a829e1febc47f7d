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
        let byChannel = graph.contiguous(graph.permute(directions, [1, 0, 2, 3]))
        let (d, n, heads) = (keys[0], keys[1], keys[2])
        let mean = graph.unitRows(graph.reshape(graph.sumRows(byChannel), [d, 1, heads]))
        return graph.scale(graph.reshape(graph.matmul(directions, mean), [n, heads]), by: -1)
    }

    // MARK: Prompts; column 0 is the score

    func addKeys(of prompt: PromptEntries, to table: inout ScoreTable) throws {
        let graph = try Graph(on: prompt.backend, capacity: 32, allocator: prompt.allocator)
        let result = scores(prompt.keys(graph), in: graph)
        graph.output(result)
        try graph.allocate()
        try graph.compute()
        table.add(result.values(), visible: result[0])
    }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        ScoreTable(positions: entries.map { $0.map(\.position) })
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {}
}
