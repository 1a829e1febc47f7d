internal import CAttention
internal import Ggml

extension ScoringRule.Accumulation {
    /// The entry's position: the oldest goes.
    public static var recency: Self { Self(FixedScore(kind: .recency)) }

    /// A number from 0 to 1 that hangs on the seed, the layer, the KV head and the entry's position, and on nothing else.
    public static func random(seed: UInt32) -> Self { Self(FixedScore(kind: .random(seed: seed))) }
}

/// A score that an entry gets when it is written and then keeps; needs no attention weights.
struct FixedScore: ScoringFormula {
    enum Kind: Hashable {
        /// The entry's position.
        case recency
        /// A hash of where the entry is.
        case random(seed: UInt32)
    }

    let kind: Kind

    var needs: ScoringNeeds { [] }

    func validate() throws {}

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        FixedScoreState(kind, shape, in: arena)
    }
}

/// One score per slot.
final class FixedScoreState: ScoringState {
    private let kind: FixedScore.Kind
    private let shape: SlotShape
    /// `[slots, kvHeads]`
    private let scores: Tensor

    init(_ kind: FixedScore.Kind, _ shape: SlotShape, in arena: Arena) {
        self.kind = kind
        self.shape = shape
        scores = shape.tensor("score", in: arena)
    }

    var tensors: [(name: String, tensor: Tensor)] { [("score", scores)] }

    func clear() { scores.fill(byte: 0) }

    /// What the kernel makes its numbers from: different in every layer.
    private func layerSeed(_ seed: UInt32) -> UInt32 {
        seed &+ UInt32(truncatingIfNeeded: shape.geometry.layer) &* 0x9E37_79B9
    }

    private func score(of position: Int, head: Int) -> Float {
        switch kind {
        case .recency: Float(position)
        case .random(let seed): attention_random(layerSeed(seed), Int32(head), Int64(position))
        }
    }

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_FIXED
        score.fixed = attention_fixed(scores: scores.hostFloats, is_random: false, seed: 0)
        guard case .random(let seed) = kind else { return }
        (score.fixed.is_random, score.fixed.seed) = (true, layerSeed(seed))
    }

    func attend(_ step: some ScoringStep) -> Tensor {
        let heads = shape.kvHeads
        let slot = step.admit(by: scores)
        // Layers share a step's inputs, and have scores of their own.
        let layer = shape.geometry.layer
        let own = step.inputs.tensor("score in layer \(layer)", .f32, [heads], layer: layer) { [self] sequence in
            (0..<shape.ownHeads).map { score(of: sequence.position, head: $0) }
        }
        step.graph.schedule(step.write(own, to: scores, at: slot))
        return step.attention(slot)
    }

    // MARK: Prompts and choices on the host

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        ScoreTable(positions: entries.map { $0.map(\.position) })
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        scores.write(shape.scatter(kept, otherwise: 0) { score(of: table.positions[$0][$1], head: $0) })
    }

    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float] {
        table.positions[head].map { score(of: $0, head: head) }
    }
}
