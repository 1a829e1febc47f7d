package import CAttention
internal import CLlama

extension Graph {
    /// Attention over caches that lie in the host's memory, by the fused kernel.
    ///
    /// - Parameters:
    ///   - queries: `[headDim, queryHeads, tokens]`
    ///   - keys: `[headDim, kvHeads, tokens]`; nil if nothing is written.
    ///   - values: `[headDim, kvHeads, tokens]`; likewise.
    ///   - frozenQueries: like `queries`, for entries besides the slots; nil if they see the same.
    ///   - features: `[width, kvHeads, tokens]`: what the scoring rules read besides; nil if they read nothing.
    ///   - sinks: `[queryHeads]`: a term of each head's softmax that no entry gets; nil if there are none.
    ///   - batch: which caches and where the threads work; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[headDim * queryHeads, tokens]`
    package func fusedAttention(
        queries: Tensor, keys: Tensor?, values: Tensor?, frozenQueries: Tensor? = nil, features: Tensor? = nil,
        sinks: Tensor? = nil, batch: UnsafeMutablePointer<attention_batch>
    ) -> Tensor {
        let sources = [queries, keys, values, features, frozenQueries, sinks]
        precondition(sources.allSatisfy { $0?.isContiguous ?? true }, "the kernel reads contiguous vectors")
        var arguments = sources.map { $0?.pointer }
        let result = ggml_custom_4d(
            arena.context, GGML_TYPE_F32, Int64(queries[0] * queries[1]), Int64(queries[2]), 1, 1, &arguments,
            Int32(arguments.count),
            { target, thread, threads, batch in
                // Sound: ggml calls this with the tensor made here, whose sources and memory it has allocated.
                var vectors = attention_vectors(target!.pointee)
                attention_compute(batch!.assumingMemoryBound(to: attention_batch.self), &vectors, thread, threads)
            }, -1, batch)
        for source in sources.compactMap(\.self) { arena.retain(source.arena) }
        return wrap(result)
    }
}

extension attention_vectors {
    /// The sources and the result of an operation that ``Graph/fusedAttention(queries:keys:values:frozenQueries:features:sinks:batch:)`` made.
    fileprivate init(_ operation: ggml_tensor) {
        func floats(_ tensor: UnsafeMutablePointer<ggml_tensor>?) -> UnsafeMutablePointer<Float>? {
            tensor?.pointee.data.assumingMemoryBound(to: Float.self)
        }
        self.init(
            query: floats(operation.src.0), frozen_query: floats(operation.src.4), key: floats(operation.src.1),
            value: floats(operation.src.2),
            features: floats(operation.src.3), feature_width: Int32(operation.src.3?.pointee.ne.0 ?? 0),
            sinks: floats(operation.src.5), output: operation.data.assumingMemoryBound(to: Float.self))
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

    /// Calls a closure with 32-bit floats where they lie in the host's memory, with a copy of what a device has.
    package func withFloats<Result>(_ body: (UnsafeBufferPointer<Float>) -> Result) -> Result {
        guard ggml_backend_buffer_is_host(pointer.pointee.buffer) else { return floats().withUnsafeBufferPointer(body) }
        return body(UnsafeBufferPointer(start: hostFloats, count: count))
    }

    /// Lets a closure change 32-bit floats where they lie, or in a copy that goes back to the device.
    package func update<Result>(_ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
        guard !ggml_backend_buffer_is_host(pointer.pointee.buffer) else { return body(hostFloats) }
        var copy = floats()
        let result = copy.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
        write(copy)
        return result
    }
}
