internal import CLlama
internal import Ggml
internal import MorphKV

/// libllama on the same file, in the same process, with the same threads: what we are compared with.
///
/// Not Sendable: one place at a time feeds it.
final class LibllamaBaseline {
    /// The weights, mapped once for all contexts.
    final class Weights {
        fileprivate let pointer: OpaquePointer

        init(path: String) throws {
            Log.redirect()
            var parameters = llama_model_default_params()
            parameters.n_gpu_layers = 0
            guard let pointer = llama_model_load_from_file(path, parameters) else {
                throw GgmlError(.file, "libllama cannot load \(path)")
            }
            self.pointer = pointer
        }

        deinit { llama_model_free(pointer) }
    }

    private let weights: Weights
    private let context: OpaquePointer
    private let sequences: Int
    private var batch: llama_batch
    private static let chunk = 512

    /// - Parameters:
    ///   - context: entries of each sequence's cache.
    ///   - sequences: how many there are, each with memory of its own.
    init(_ weights: Weights, context length: Int, sequences: Int = 1, flashAttention: Bool, threads: Int) throws {
        self.weights = weights
        self.sequences = sequences
        var parameters = llama_context_default_params()
        parameters.n_ctx = UInt32(length * sequences)
        parameters.n_seq_max = UInt32(sequences)
        parameters.n_batch = UInt32(Self.chunk)
        parameters.n_ubatch = UInt32(Self.chunk)
        parameters.n_threads = Int32(threads)
        parameters.n_threads_batch = Int32(threads)
        parameters.flash_attn_type = flashAttention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.kv_unified = false
        guard let context = llama_init_from_model(weights.pointer, parameters) else {
            throw GgmlError(.memory, "libllama has no memory for \(sequences) x \(length) tokens")
        }
        self.context = context
        batch = llama_batch_init(Int32(max(Self.chunk, sequences)), 0, 1)
    }

    deinit {
        llama_batch_free(batch)
        llama_free(context)
    }

    /// Forgets every sequence.
    func clear() { llama_memory_clear(llama_get_memory(context), false) }

    /// Gives every other sequence the entries of the first, in memory of their own.
    func copyFirst() {
        for sequence in 1..<sequences {
            llama_memory_seq_cp(llama_get_memory(context), 0, Int32(sequence), -1, -1)
        }
    }

    /// Drops some of the first sequence's entries and moves those behind them up.
    ///
    /// - Parameter count: entries that the sequence has.
    func forget(_ range: Range<Int>, of count: Int) {
        let memory = llama_get_memory(context)
        llama_memory_seq_rm(memory, 0, Int32(range.lowerBound), Int32(range.upperBound))
        llama_memory_seq_add(memory, 0, Int32(range.upperBound), Int32(count), -Int32(range.count))
    }

    /// Copies the logits after the last token, one per token id.
    func readLogits(into target: inout [Float]) {
        let logits = llama_get_logits_ith(context, -1)!
        for index in target.indices { target[index] = logits[index] }
    }

    /// Feeds a prompt to the first sequence, 512 tokens at a time; wants the last token's logits.
    func prefill(_ tokens: [Token], at position: Int) throws {
        for start in stride(from: 0, to: tokens.count, by: Self.chunk) {
            let part = tokens[start..<min(start + Self.chunk, tokens.count)]
            let isLast = start + part.count == tokens.count
            try feed(part.enumerated().map { (0, $1, position + start + $0, isLast && $0 == part.count - 1) })
        }
    }

    /// Feeds one token to each of the first sequences and wants the logits.
    func decode(_ tokens: [Token], at position: Int) throws {
        try feed(tokens.enumerated().map { ($0, $1, position, true) })
    }

    private func feed(_ entries: [(sequence: Int, token: Token, position: Int, wantsLogits: Bool)]) throws {
        batch.n_tokens = Int32(entries.count)
        for (index, entry) in entries.enumerated() {
            batch.token[index] = entry.token
            batch.pos[index] = Int32(entry.position)
            batch.n_seq_id[index] = 1
            batch.seq_id[index]![0] = Int32(entry.sequence)
            batch.logits[index] = entry.wantsLogits ? 1 : 0
        }
        let status = llama_decode(context, batch)
        guard status == 0 else { throw GgmlError(.compute, "libllama failed with status \(status)") }
        llama_synchronize(context)
    }
}
