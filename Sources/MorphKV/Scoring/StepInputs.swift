internal import Ggml

/// One sequence's part in a layer's step.
struct StepSequence {
    /// Of the token that is fed.
    let position: Int
    /// The first position that went to the slots.
    let origin: Int
    /// Where the layer's formula stands in its cycle.
    let phase: Int
    /// The position after the sequence's first prompt.
    let promptEnd: Int
    let pins: PinnedPositions
    /// Where the token goes under rules that depend on positions only.
    let slot: Int
    /// Slots that are filled with the token, under such rules.
    let filled: Int
}

/// The small tensors that tell a decode step where its sequences are; layers with the same rule share them.
final class StepInputs {
    private struct Input {
        let tensor: Tensor
        /// The layer that asked for it first, whose caches are looked at.
        let layer: Int
        let fill: ([StepSequence]) -> Void
    }

    private let graph: Graph
    private var inputs: [String: Input] = [:]

    init(in graph: Graph) { self.graph = graph }

    /// The input of that name, made when it is first asked for.
    ///
    /// - Parameters:
    ///   - shape: of all sequences together, one's values behind the other's.
    ///   - values: one sequence's.
    func tensor<Value: BitwiseCopyable>(
        _ name: String, _ type: ElementType, _ shape: [Int], layer: Int, values: @escaping (StepSequence) -> [Value]
    ) -> Tensor {
        if let input = inputs[name] { return input.tensor }
        let tensor = graph.input(type, shape, name: name)
        inputs[name] = Input(tensor: tensor, layer: layer) { tensor.write($0.flatMap(values)) }
        return tensor
    }

    /// An input that is the same in every step.
    func constant<Value: BitwiseCopyable>(_ name: String, _ shape: [Int], layer: Int, _ values: [Value]) -> Tensor {
        if let input = inputs[name] { return input.tensor }
        let tensor = graph.input(Value.self == Int32.self ? .i32 : .f32, shape, name: "constant")
        // Intermediate results may take its place once it was read.
        inputs[name] = Input(tensor: tensor, layer: layer) { _ in tensor.write(values) }
        return tensor
    }

    /// Fills the inputs.
    ///
    /// - Parameter sequences: those of the step, for a layer.
    func fill(_ sequences: (_ layer: Int) -> [StepSequence]) {
        for input in inputs.values { input.fill(sequences(input.layer)) }
    }
}
