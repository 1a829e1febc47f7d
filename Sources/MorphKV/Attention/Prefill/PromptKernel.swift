internal import CAttention
internal import Ggml

/// The prompt kernel as operations of graphs, and the memory that its threads work in; one operation at a time.
final class PromptKernel {
    private let workspace: AttentionWorkspace
    /// Sound: the kernel reads it while a graph computes, we write it before.
    private let call: UnsafeMutablePointer<attention_prompt>
    /// Sound: what `call` points to, replaced with it.
    private var first: UnsafeMutableBufferPointer<Int32>?
    private var factors: UnsafeMutableBufferPointer<Float>?

    /// - Throws: ``CacheError`` when the kernel that was asked for cannot run on this machine.
    init(_ description: DecoderDescription, _ keyType: CacheType, _ valueType: CacheType, threads: Int) throws {
        workspace = try AttentionWorkspace(threads: threads)
        var prompt = attention_prompt()
        prompt.key_type = keyType.kernelType
        prompt.value_type = valueType.kernelType
        prompt.dimension = Int32(description.headDimension)
        prompt.heads = Int32(description.kvHeads)
        // Operations state their own shapes; this is the largest, for the memory to work in.
        prompt.group = Int32(description.layers.map { description.queryHeads / $0.kvHeads }.max() ?? 1)
        prompt.scale = description.attentionScale
        workspace.reserve(attention_prompt_workspace(prompt.dimension, prompt.group, 0))
        workspace.describe(in: &prompt)
        call = .allocate(capacity: 1)
        call.initialize(to: prompt)
    }

    deinit {
        call.deallocate()
        first?.deallocate()
        factors?.deallocate()
    }

    /// Bytes held.
    var bytes: Int { workspace.bytes }

    /// Attention of queries `[headDim, queryHeads, tokens]` over rows `[headDim, rows, kvHeads]`:
    /// `[headDim * queryHeads, tokens]`.
    func attend(
        queries: Tensor, keys: Tensor, values: Tensor, sinks: Tensor?, sight: AttentionMask.Sight, in graph: Graph
    ) -> Tensor {
        look(sight)
        return graph.promptAttention(queries: queries, keys: keys, values: values, sinks: sinks, prompt: call)
    }

    /// The sum of the weights that rows received, each query's times its factor: `[rows, 1, kvHeads]`.
    func received(
        queries: Tensor, keys: Tensor, sinks: Tensor?, sight: AttentionMask.Sight, factors: [Float],
        reduction: ScoringRule.GroupReduction, in graph: Graph
    ) -> Tensor {
        look(sight)
        self.factors?.deallocate()
        self.factors = .copy(of: factors)
        call.pointee.factors = UnsafePointer(self.factors!.baseAddress)
        call.pointee.reduction = reduction.kernelReduction
        return graph.promptReceived(queries: queries, keys: keys, sinks: sinks, prompt: call)
    }

    /// The largest weight that each row of a chunk gets from queries that see the chunk, some rows in front, and those from
    /// `own` on up to their own: `[chunk, 1, kvHeads]`.
    ///
    /// - Parameter seen: rows up to the first query's own.
    func largest(
        queries: Tensor, keys: Tensor, sinks: Tensor?, chunk: Range<Int>, front: Range<Int>, own: Int, seen: Int,
        in graph: Graph
    ) -> Tensor {
        look(AttentionMask.Sight(seen: seen, first: Array(repeating: Int32(own), count: queries[2]), heads: 1))
        call.pointee.chunk = attention_rows(chunk)
        call.pointee.front = attention_rows(front)
        workspace.reserve(attention_prompt_workspace(call.pointee.dimension, call.pointee.group, Int32(chunk.count)))
        workspace.describe(in: &call.pointee)
        return graph.promptLargest(queries: queries, keys: keys, sinks: sinks, prompt: call)
    }

    private func look(_ sight: AttentionMask.Sight) {
        call.pointee.chunk = attention_rows(0..<0)
        call.pointee.front = attention_rows(0..<0)
        first?.deallocate()
        first = sight.first.map { .copy(of: $0) }
        call.pointee.seen = Int32(sight.seen)
        call.pointee.first = UnsafePointer(first?.baseAddress)
        call.pointee.first_heads = Int32(sight.heads)
    }
}

extension attention_rows {
    fileprivate init(_ range: Range<Int>) { self.init(begin: Int32(range.lowerBound), end: Int32(range.upperBound)) }
}

extension UnsafeMutableBufferPointer where Element: BitwiseCopyable {
    /// Memory of its own with these values.
    fileprivate static func copy(of values: [Element]) -> Self {
        let memory = Self.allocate(capacity: values.count)
        _ = memory.initialize(from: values)
        return memory
    }
}
