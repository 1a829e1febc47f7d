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
    /// Sound: likewise; `[Prefill.chunk][queryHeads]`, the softmax denominators of the tokens that were noted.
    private let normalizers: UnsafeMutableBufferPointer<Float>
    /// The positions of the tokens whose softmax denominators are known; nil if no token's are.
    private var noted: Range<Int>?
    private let queryHeads: Int

    /// - Throws: ``CacheError`` when the kernel that was asked for cannot run on this machine.
    init(_ description: DecoderDescription, _ keyType: CacheType, _ valueType: CacheType, threads: Int) throws {
        workspace = try AttentionWorkspace(threads: threads)
        queryHeads = description.queryHeads
        normalizers = .allocate(capacity: Prefill.chunk * queryHeads)
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
        normalizers.deallocate()
        first?.deallocate()
        factors?.deallocate()
    }

    /// Bytes held.
    var bytes: Int { workspace.bytes + normalizers.count * MemoryLayout<Float>.stride }

    /// Forgets what is known of the last block's tokens.
    func forgetNoted() { noted = nil }

    /// Bytes that it takes besides while queries repeat a chunk of some rows.
    static func bytes(repeating chunk: Int, _ description: DecoderDescription, threads: Int) -> Int {
        let heads = description.layers.map(\.kvHeads)
        let group = heads.map { description.queryHeads / $0 }.max() ?? 1
        let floats = attention_prompt_workspace(Int32(description.headDimension), Int32(group), Int32(chunk))
        return threads * (floats + 15 + (heads.max() ?? 0) * chunk) * MemoryLayout<Float>.stride
    }

    /// Attention of queries `[headDim, queryHeads, tokens]` over rows `[headDim, rows, kvHeads]`:
    /// `[headDim * queryHeads, tokens]`.
    ///
    /// - Parameters:
    ///   - tokens: the queries' positions, if their softmax denominators are to be noted for what rows receive; nil if not.
    ///   - repeated: what the queries repeat, if they do; they see everything up to themselves then.
    func attend(
        queries: Tensor, keys: Tensor, values: Tensor, sinks: Tensor?, sight: AttentionMask.Sight,
        noting tokens: Range<Int>? = nil, repeated: RepeatedRows? = nil, in graph: Graph
    ) -> Tensor {
        look(sight)
        if let tokens, repeated == nil, tokens.count <= Prefill.chunk {
            noted = tokens
            call.pointee.normalizers = normalizers.baseAddress
        }
        if let repeated { look(repeated) }
        return graph.promptAttention(queries: queries, keys: keys, values: values, sinks: sinks, prompt: call)
    }

    /// The sum of the weights that rows received, each query's times its factor: `[rows, 1, kvHeads]`.
    ///
    /// - Parameter tokens: the queries' positions.
    func received(
        queries: Tensor, of tokens: Range<Int>, keys: Tensor, sinks: Tensor?, sight: AttentionMask.Sight,
        factors: [Float], reduction: ScoringRule.GroupReduction, in graph: Graph
    ) -> Tensor {
        look(sight)
        if let noted, noted.lowerBound <= tokens.lowerBound, tokens.upperBound <= noted.upperBound {
            call.pointee.normalizers = normalizers.baseAddress! + (tokens.lowerBound - noted.lowerBound) * queryHeads
        }
        self.factors?.deallocate()
        self.factors = .copy(of: factors)
        call.pointee.factors = UnsafePointer(self.factors!.baseAddress)
        call.pointee.reduction = reduction.kernelReduction
        return graph.promptReceived(queries: queries, keys: keys, sinks: sinks, prompt: call)
    }

    /// Only notes the largest weights of the rows that queries repeat; the result says nothing.
    ///
    /// - Parameter seen: rows up to the first query's own.
    func note(
        _ repeated: RepeatedRows, queries: Tensor, keys: Tensor, sinks: Tensor?, seen: Int, in graph: Graph
    ) -> Tensor {
        look(AttentionMask.Sight(seen: seen, first: nil, heads: 1))
        look(repeated)
        return graph.promptLargest(queries: queries, keys: keys, sinks: sinks, prompt: call)
    }

    private func look(_ repeated: RepeatedRows) {
        repeated.describe(in: &call.pointee)
        let chunk = Int32(repeated.chunk.count)
        workspace.reserve(attention_prompt_workspace(call.pointee.dimension, call.pointee.group, chunk))
        workspace.describe(in: &call.pointee)
    }

    private func look(_ sight: AttentionMask.Sight) {
        (call.pointee.largest, call.pointee.normalizers) = (nil, nil)
        first?.deallocate()
        first = sight.first.map { .copy(of: $0) }
        call.pointee.seen = Int32(sight.seen)
        call.pointee.first = UnsafePointer(first?.baseAddress)
        call.pointee.first_heads = Int32(sight.heads)
    }
}

extension UnsafeMutableBufferPointer where Element: BitwiseCopyable {
    /// Memory of its own with these values.
    fileprivate static func copy(of values: [Element]) -> Self {
        let memory = Self.allocate(capacity: values.count)
        _ = memory.initialize(from: values)
        return memory
    }
}
