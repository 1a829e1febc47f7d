internal import Ggml

/// The positions of the tokens in a graph, as inputs: those that its layers have asked for.
final class TokenPositions {
    private let graph: Graph
    private let count: Int
    private let temperature: DecoderDescription.QueryTemperature?
    private var rotaryInput: Tensor?
    private var frozenInput: Tensor?
    private var factorInput: Tensor?
    private var rotaryValues: [Int32]
    private var frozenValues: [Int32]
    private var factorValues: [Float]

    /// - Parameter count: tokens in the graph.
    init(_ count: Int, _ description: DecoderDescription, in graph: Graph) {
        self.graph = graph
        self.count = count
        temperature = description.queryTemperature
        rotaryValues = Array(repeating: 0, count: count)
        frozenValues = rotaryValues
        factorValues = Array(repeating: 0, count: count)
    }

    /// What keys and queries are rotated to: i32 `[tokens]`.
    var rotary: Tensor { input(&rotaryInput, .i32, [count], name: "positions") }

    /// The same as frozen entries see them that are moved together: i32 `[tokens]`.
    var frozen: Tensor { input(&frozenInput, .i32, [count], name: "frozenPositions") }

    /// What queries are multiplied by, `[1, 1, tokens]`; nil if they are not.
    var queryFactors: Tensor? {
        temperature.map { _ in input(&factorInput, .f32, [1, 1, count], name: "queryFactors") }
    }

    /// Notes where a token is.
    func set(_ position: Int, frame: RotaryFrame, at index: Int) {
        rotaryValues[index] = Int32(position - frame.base)
        frozenValues[index] = Int32(position - frame.floor)
        if let temperature { factorValues[index] = temperature.factor(at: position) }
    }

    /// Tells the graph where the tokens are, all at once: another host gets each write as a message.
    func write() {
        rotaryInput?.write(rotaryValues)
        frozenInput?.write(frozenValues)
        factorInput?.write(factorValues)
    }

    private func input(_ made: inout Tensor?, _ type: ElementType, _ shape: [Int], name: String) -> Tensor {
        let tensor = made ?? graph.input(type, shape, name: name)
        made = tensor
        return tensor
    }
}
