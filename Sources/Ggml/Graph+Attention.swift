package import CAttention
internal import CLlama

extension Graph {
    /// Attention over caches that lie in the host's memory, by the fused kernel.
    ///
    /// - Parameters:
    ///   - queries: `[headDim, queryHeads, tokens]`
    ///   - keys: `[headDim, kvHeads, tokens]`
    ///   - values: `[headDim, kvHeads, tokens]`
    ///   - batch: which caches and where the threads work; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[headDim * queryHeads, tokens]`
    package func fusedAttention(
        queries: Tensor, keys: Tensor, values: Tensor, batch: UnsafeMutablePointer<attention_batch>
    ) -> Tensor {
        precondition(
            queries.isContiguous && keys.isContiguous && values.isContiguous, "the kernel reads contiguous vectors")
        var arguments: [UnsafeMutablePointer<ggml_tensor>?] = [queries.pointer, keys.pointer, values.pointer]
        let result = ggml_custom_4d(
            arena.context, GGML_TYPE_F32, Int64(queries[0] * queries[1]), Int64(queries[2]), 1, 1, &arguments, 3,
            { target, thread, threads, batch in
                // Sound: ggml calls this with the tensor made here, whose sources and memory it has allocated.
                let (queries, keys, values) = (target!.pointee.src.0!, target!.pointee.src.1!, target!.pointee.src.2!)
                attention_compute(
                    batch!.assumingMemoryBound(to: attention_batch.self),
                    queries.pointee.data.assumingMemoryBound(to: Float.self),
                    keys.pointee.data.assumingMemoryBound(to: Float.self),
                    values.pointee.data.assumingMemoryBound(to: Float.self),
                    target!.pointee.data.assumingMemoryBound(to: Float.self), thread, threads)
            }, -1, batch)
        return wrap(result, uses: queries, keys, values)
    }
}

extension Tensor {
    /// Where the values lie, for tensors in the host's memory; valid as long as the arena lives.
    package var hostAddress: UnsafeMutableRawPointer {
        precondition(ggml_backend_buffer_is_host(pointer.pointee.buffer), "\(name) lies in the host's memory")
        return pointer.pointee.data
    }

    /// ``hostAddress`` of 32-bit floats.
    package var hostFloats: UnsafeMutablePointer<Float> {
        precondition(type == .f32, "\(name) holds 32-bit floats")
        return hostAddress.assumingMemoryBound(to: Float.self)
    }
}
