internal import Ggml

/// What blocks without attention do to the states of sequences, as a part of a graph: tokens read what a state remembers,
/// and the state goes on in place.
///
/// The implementations are ``KernelRecurrence`` (over memory of the host, for any sequences) and ``GraphRecurrence`` (by
/// ggml's operations, on any device, for one sequence).
protocol Recurrence: AnyObject {
    /// Each channel's sum of its last inputs by its weights.
    ///
    /// - Parameters:
    ///   - inputs: `[channels, tokens]`
    ///   - weights: f32 `[taps, channels]`, the newest input's last.
    /// - Returns: `[channels, tokens]`
    func convolve(_ inputs: Tensor, by weights: Tensor, block: Int, in graph: Graph) -> Tensor

    /// The gated delta rule.
    ///
    /// - Parameter delta: `decays` are the logarithms of what the memory is multiplied by.
    /// - Returns: `[size, heads, tokens]`
    func learn(_ delta: DeltaInputs, block: Int, in graph: Graph) -> Tensor

    /// A state space.
    ///
    /// - Returns: `[size, heads, tokens]`
    func scan(_ space: StateSpaceInputs, block: Int, in graph: Graph) -> Tensor
}

/// By ggml's operations, for the state of one sequence.
final class GraphRecurrence: Recurrence {
    private let state: RecurrentState?

    /// - Parameter state: nil for models without such blocks.
    init(_ state: RecurrentState?) { self.state = state }

    /// Whether the model has such blocks.
    var isStateful: Bool { state != nil }

    func convolve(_ inputs: Tensor, by weights: Tensor, block: Int, in graph: Graph) -> Tensor {
        let last = state!.blocks[block].inputs
        let all = graph.concat(last, inputs, along: 1)
        let result = graph.convolve(graph.contiguous(graph.permute(all, [1, 0, 2, 3])), by: weights)
        let kept = graph.view(all, [all[0], last[1]], strides: [all.strides[1]], offset: inputs[1] * all.strides[1])
        graph.schedule(graph.copy(kept, to: last))
        return result
    }

    func learn(_ delta: DeltaInputs, block: Int, in graph: Graph) -> Tensor {
        let memory = state!.blocks[block].memory!
        let result = graph.learn(delta, memory: memory)
        graph.schedule(graph.copy(result.memory, to: memory))
        return result.output
    }

    func scan(_ space: StateSpaceInputs, block: Int, in graph: Graph) -> Tensor {
        let memory = state!.blocks[block].memory!
        let result = graph.scan(space, memory: memory)
        graph.schedule(graph.copy(result.memory, to: memory))
        return result.output
    }
}
