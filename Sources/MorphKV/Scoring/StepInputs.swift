internal import Ggml

/// The small tensors that tell a decode step where it is in the sequence; layers with the same rule share them.
final class StepInputs {
    private typealias Input = (tensor: Tensor, fill: (Tensor, Int) -> Void)

    private let graph: Graph
    private var inputs: [String: Input] = [:]

    init(in graph: Graph) { self.graph = graph }

    /// The input of that name, made when it is first asked for.
    ///
    /// - Parameter fill: gives it its values for the token at a position.
    func tensor(
        _ name: String, _ type: ElementType, _ shape: [Int], fill: @escaping (_ tensor: Tensor, _ position: Int) -> Void
    ) -> Tensor {
        if let input = inputs[name] { return input.tensor }
        let tensor = graph.input(type, shape, name: name)
        inputs[name] = (tensor, fill)
        return tensor
    }

    /// Fills the inputs for the token at `position`.
    func fill(position: Int) {
        for input in inputs.values { input.fill(input.tensor, position) }
    }
}
