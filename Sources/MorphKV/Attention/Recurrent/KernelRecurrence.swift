internal import CAttention
internal import Ggml

/// By the kernel, for any sequences whose states lie in the host's memory.
final class KernelRecurrence: Recurrence {
    private let blocks: Int
    /// The most sequences that can take part.
    private let capacity: Int
    /// Sound: `blocks` of them; the kernel reads them while a graph computes, we write them in between.
    private let batches: UnsafeMutablePointer<recurrent_batch>
    /// Sound: `blocks * capacity` of them, likewise.
    private let runs: UnsafeMutablePointer<recurrent_run>

    /// - Parameter runs: the most sequences that can take part.
    init(_ description: DecoderDescription, runs capacity: Int, level: attention_level) {
        blocks = description.recurrentBlocks.count
        self.capacity = capacity
        batches = .allocate(capacity: blocks)
        runs = .allocate(capacity: blocks * capacity)
        for block in 0..<blocks {
            batches[block] = recurrent_batch(runs: runs + block * capacity, run_count: 0, level: level)
        }
    }

    deinit {
        batches.deallocate()
        runs.deallocate()
    }

    /// Tells whose tokens the next computation is about, in the order of their columns.
    ///
    /// - Parameter sequences: their states, and how many tokens of each.
    func describe(_ sequences: some Sequence<(state: RecurrentState?, columns: Int)>) {
        guard blocks > 0 else { return }
        var (column, count) = (0, 0)
        for (state, columns) in sequences {
            for (index, block) in state!.blocks.enumerated() {
                runs[index * capacity + count] = recurrent_run(
                    inputs: block.inputs.hostFloats, memory: block.memory?.hostFloats, column: Int32(column),
                    columns: Int32(columns))
            }
            column += columns
            count += 1
        }
        for block in 0..<blocks { batches[block].run_count = Int32(count) }
    }

    func convolve(_ inputs: Tensor, by weights: Tensor, block: Int, in graph: Graph) -> Tensor {
        graph.convolve(inputs, by: weights, batch: batches + block)
    }

    func learn(_ delta: DeltaInputs, block: Int, in graph: Graph) -> Tensor {
        let factors = DeltaInputs(
            queries: delta.queries, keys: delta.keys, values: delta.values, decays: graph.exp(delta.decays),
            rates: delta.rates)
        return graph.learn(factors, batch: batches + block)
    }

    func scan(_ space: StateSpaceInputs, block: Int, in graph: Graph) -> Tensor {
        let (heads, tokens) = (space.steps[0], space.steps[1])
        let steps = graph.softplus(space.steps)
        let decays = graph.exp(graph.multiply(steps, graph.reshape(space.rates, [heads])))
        let contiguous = { (a: Tensor) in a.isContiguous ? a : graph.contiguous(a) }
        let inputs = DeltaInputs(
            queries: contiguous(space.queries), keys: contiguous(space.keys), values: space.values,
            decays: graph.reshape(decays, [1, heads, tokens]), rates: graph.reshape(steps, [1, heads, tokens]))
        return graph.scan(inputs, passing: space.passing, batch: batches + block)
    }
}
