internal import Ggml

/// What the blocks without attention remember of one sequence: constant, however long it is.
///
/// Not Sendable: one engine writes to it.
final class RecurrentState {
    /// What one block remembers.
    struct Block {
        /// The last inputs of its convolution, `[channels, taps - 1]`, the oldest first.
        let inputs: Tensor
        /// What heads remember, `[size, size, heads]`; nil if there is nothing but inputs.
        let memory: Tensor?
    }

    let blocks: [Block]
    private let arena: Arena
    /// Bytes that ``allocate(on:)`` takes, known before it is called.
    private(set) var plannedBytes = 0

    /// Describes the state without allocating it; nil for models without such blocks.
    init?(_ description: DecoderDescription) throws {
        let shapes = description.recurrentBlocks.map { $0.stateShape(width: description.embeddingLength) }
        guard !shapes.isEmpty else { return nil }
        let arena = try Arena(tensors: 2 * shapes.count)
        self.arena = arena
        blocks = shapes.map { shape in
            Block(
                inputs: arena.tensor(.f32, shape.inputs, name: "inputs"),
                memory: shape.memory.map { arena.tensor(.f32, $0, name: "memory") })
        }
    }

    /// All tensors, by name and number of the block.
    var tensors: [(name: String, tensor: Tensor)] {
        blocks.enumerated().flatMap { index, block in
            [("recurrent.\(index).inputs", block.inputs)]
                + (block.memory.map { [("recurrent.\(index).memory", $0)] } ?? [])
        }
    }

    /// Bytes that the device really gave.
    var allocatedBytes: Int { arena.allocatedBytes }

    func plan(on backend: Backend) { plannedBytes = arena.plannedBytes(on: backend) }

    /// - Throws: `GgmlError` of kind `memory`.
    func allocate(on backend: Backend) throws {
        plan(on: backend)
        try arena.allocate(on: backend)
    }

    /// Forgets the sequence.
    func clear() {
        for (_, tensor) in tensors { tensor.fill(byte: 0) }
    }

    /// Remembers what was remembered when a copy was made.
    func restore(_ copy: RecurrentCopy) {
        for ((_, tensor), values) in zip(tensors, copy.values) { tensor.write(values) }
    }

    /// What is remembered now.
    func copy() -> RecurrentCopy { RecurrentCopy(values: tensors.map { $0.tensor.values() }) }
}

/// What was remembered of a sequence at some token: immutable, so that any number of sequences can go on from it.
struct RecurrentCopy: Sendable, Hashable {
    /// The values of ``RecurrentState/tensors``.
    let values: [[Float]]

    var bytes: Int { values.reduce(0) { $0 + 4 * $1.count } }
}
