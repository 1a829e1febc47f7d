internal import Ggml

/// The positions of the tokens in a graph, as inputs: those that its layers have asked for.
final class TokenPositions {
    private let graph: Graph
    private let count: Int
    private let temperature: DecoderDescription.QueryTemperature?
    private var rotaryInput: Tensor?
    private var frozenInput: Tensor?
    private var factorInput: Tensor?

    /// - Parameter count: tokens in the graph.
    init(_ count: Int, _ description: DecoderDescription, in graph: Graph) {
        self.graph = graph
        self.count = count
        temperature = description.queryTemperature
    }

    /// What keys and queries are rotated to: i32 `[tokens]`.
    var rotary: Tensor { input(&rotaryInput, .i32, [count], name: "positions") }

    /// The same as frozen entries see them that are moved together: i32 `[tokens]`.
    var frozen: Tensor { input(&frozenInput, .i32, [count], name: "frozenPositions") }

    /// What queries are multiplied by, `[1, 1, tokens]`; nil if they are not.
    var queryFactors: Tensor? {
        temperature.map { _ in input(&factorInput, .f32, [1, 1, count], name: "queryFactors") }
    }

    /// Tells where a token is.
    func write(_ position: Int, frame: RotaryFrame, at index: Int) {
        rotaryInput?.write(Int32(position - frame.base), at: index)
        frozenInput?.write(Int32(position - frame.floor), at: index)
        if let temperature { factorInput?.write(temperature.factor(at: position), at: index) }
    }

    private func input(_ made: inout Tensor?, _ type: ElementType, _ shape: [Int], name: String) -> Tensor {
        let tensor = made ?? graph.input(type, shape, name: name)
        made = tensor
        return tensor
    }
}
