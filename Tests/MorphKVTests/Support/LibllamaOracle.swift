import CLlama
import Foundation
import Ggml
import MorphKV

/// libllama with the full cache, in this process: the same weights and kernels as ours.
final class LibllamaOracle {
    private let model: OpaquePointer
    private let context: OpaquePointer
    private let vocabularySize: Int

    /// - Parameter repacks: whether weights are copied into faster layouts, which add up numbers in another order.
    init(
        _ url: URL, contextLength: Int, cacheType: ggml_type = GGML_TYPE_F32, threads: Int32 = 1, repacks: Bool = true
    ) throws {
        Log.redirect()
        var modelParameters = llama_model_default_params()
        modelParameters.use_extra_bufts = repacks
        modelParameters.n_gpu_layers = 0
        struct Failed: Error {}
        guard let model = llama_model_load_from_file(url.path, modelParameters) else { throw Failed() }
        self.model = model
        var parameters = llama_context_default_params()
        parameters.n_ctx = UInt32(contextLength)
        parameters.n_batch = UInt32(contextLength)
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        parameters.type_k = cacheType
        parameters.type_v = cacheType
        // libllama's flash attention at decode differs from its own exact attention by 1e-3 of the logits' range.
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED
        guard let context = llama_init_from_model(model, parameters) else {
            llama_model_free(model)
            throw Failed()
        }
        self.context = context
        vocabularySize = Int(llama_vocab_n_tokens(llama_model_get_vocab(model)))
    }

    deinit {
        llama_free(context)
        llama_model_free(model)
    }

    /// Feeds tokens and returns the logits of all of them, one array per token.
    func feed(_ tokens: [Token], at position: Int) -> [[Float]] {
        var batch = llama_batch_init(Int32(tokens.count), 0, 1)
        defer { llama_batch_free(batch) }
        batch.n_tokens = Int32(tokens.count)
        for (index, token) in tokens.enumerated() {
            batch.token[index] = token
            batch.pos[index] = Int32(position + index)
            batch.n_seq_id[index] = 1
            batch.seq_id[index]![0] = 0
            batch.logits[index] = 1
        }
        precondition(llama_decode(context, batch) == 0)
        return tokens.indices.map { index in
            Array(UnsafeBufferPointer(start: llama_get_logits_ith(context, Int32(index)), count: vocabularySize))
        }
    }
}
