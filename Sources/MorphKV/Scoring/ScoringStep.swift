internal import Ggml

/// What every masked score becomes: far below any real one, yet finite, so that 0 times it is 0.
let maskedScore: Float = -1e30

/// One step in one layer, as a scoring formula sees it while a decode graph is described: a token of one sequence, or of
/// several with equal caches, whose heads lie behind each other and are counted together.
///
/// The victim is chosen by the scores of earlier steps; then the token is written, then it attends, then scores are
/// brought up to date.
protocol ScoringStep {
    var graph: Graph { get }
    /// The small tensors that say where in the sequence a step is.
    var inputs: StepInputs { get }
    var shape: SlotShape { get }
    /// The token's queries, `[headDim, group, kvHeads]`: the query heads of a group are neighbours.
    var queries: Tensor { get }
    /// The token's features, `[width, kvHeads]`; nil for formulas that need none.
    var features: Tensor? { get }

    /// The position in each slot before the token is written, -1 where it is empty: `[slots, kvHeads]`.
    var positions: Tensor { get }
    /// The keys in the slots before the token's is written, `[headDim, slots, kvHeads]`.
    var keys: Tensor { get }

    /// The layer as a token's earlier block left it, for blocks that only read.
    var held: AdmittedSlot { get }

    /// Chooses the slot with the lowest score that is not protected, and writes the token's key, value and position.
    ///
    /// - Parameter scores: `[slots, kvHeads]`
    func admit(by scores: Tensor) -> AdmittedSlot

    /// A tensor `[slots, kvHeads]` with these values, `[kvHeads]`, in the admitted slots; or with several numbers each,
    /// `[width, slots, kvHeads]` and `[width, kvHeads]`.
    func write(_ values: Tensor, to target: Tensor, at slot: AdmittedSlot) -> Tensor

    /// Scaled scores of queries `[headDim, n, kvHeads]` for all slots, before the softmax: `[slots, n, kvHeads]`.
    func products(_ queries: Tensor, _ slot: AdmittedSlot) -> Tensor

    /// Scores, `[slots, n, kvHeads]`, with empty slots and those out of the layer's sight masked.
    func masked(_ scores: Tensor, _ slot: AdmittedSlot) -> Tensor

    /// The token's weights, `[slots, group, kvHeads]`, of its masked scores; what a sink takes is left out of them.
    func weights(_ masked: Tensor) -> Tensor

    /// ``maskedScore`` for slots that cannot be chosen by score: empty, out of sight or protected; else 0: `[slots, kvHeads]`.
    var excluded: Tensor { get }

    /// Weights `[slots, group, kvHeads]` times values: `[headDim * queryHeads, 1]`.
    func output(_ weights: Tensor, _ slot: AdmittedSlot) -> Tensor

    /// The result for formulas that need no weights; a backend may use any kernel for it.
    func attention(_ slot: AdmittedSlot) -> Tensor
}

/// The slot that a token took, and the layer after the token was written.
struct AdmittedSlot {
    /// i32 `[kvHeads]`, or one per sequence if all heads share it; nil where nothing is written.
    let index: Tensor?
    let keys: Tensor
    let values: Tensor
    /// `[slots, kvHeads]`
    let positions: Tensor
}

extension ScoringStep {
    /// `[headDim * queryHeads, 1]` as `[headDim, group, kvHeads]`.
    func grouped(_ queries: Tensor) -> Tensor {
        graph.reshape(queries, [shape.geometry.headDimension, shape.geometry.groupSize, shape.kvHeads])
    }

    /// 0 for each KV head: `[kvHeads]`.
    var zeros: Tensor {
        let heads = shape.ownHeads
        return inputs.tensor("zeros", .f32, [shape.kvHeads], layer: layer) { _ in [Float](repeating: 0, count: heads) }
    }

    /// One number that depends on where a sequence is, for each KV head: `[1, kvHeads]`.
    func scalar(_ name: String, _ value: @escaping (StepSequence) -> Float) -> Tensor {
        scalar(name, rows: shape.kvHeads, value)
    }

    /// The same for as many rows, of all sequences together: `[1, rows]`.
    func scalar(_ name: String, rows: Int, _ value: @escaping (StepSequence) -> Float) -> Tensor {
        let own = rows / shape.sequences
        return inputs.tensor("\(name) of \(rows)", .f32, [1, rows], layer: layer) {
            [Float](repeating: value($0), count: own)
        }
    }

    /// The row of a ring that belongs to each token's position: i32 `[1, sequences]`.
    ///
    /// - Parameter first: the ring's first row.
    func ringRow(of length: Int, from first: Int = 0) -> Tensor {
        inputs.tensor("ringRow of \(length) from \(first)", .i32, [1, shape.sequences], layer: layer) {
            [Int32(first + $0.position % length)]
        }
    }

    private var layer: Int { shape.geometry.layer }
}
