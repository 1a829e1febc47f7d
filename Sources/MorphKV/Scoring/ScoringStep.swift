internal import Ggml

/// What every masked score becomes: far below any real one, yet finite, so that 0 times it is 0.
let maskedScore: Float = -1e30

/// One token's step in one layer, as a scoring formula sees it while a decode graph is described.
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
    /// The token's features, `[width, kvHeads, 1]`; nil for formulas that need none.
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
    /// i32 `[kvHeads]`, or `[1]` if all heads share it; nil where nothing is written.
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
        let heads = shape.kvHeads
        return inputs.tensor("zeros", .f32, [heads]) { tensor, _ in
            for head in 0..<heads { tensor.write(Float(0), at: head) }
        }
    }

    /// One number that depends on the token's position.
    func scalar(_ name: String, _ value: @escaping (Int) -> Float) -> Tensor {
        inputs.tensor(name, .f32, [1]) { tensor, position in tensor.write(value(position)) }
    }

    /// The row of a ring that belongs to the token's position: i32 `[1]`.
    ///
    /// - Parameter first: the ring's first row.
    func ringRow(of length: Int, from first: Int = 0) -> Tensor {
        inputs.tensor("ringRow of \(length) from \(first)", .i32, [1]) { tensor, position in
            tensor.write(Int32(first + position % length))
        }
    }
}
