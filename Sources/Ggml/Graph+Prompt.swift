package import CAttention
internal import CLlama

extension Graph {
    /// Attention of a prompt's queries over rows that lie in the host's memory, by the prompt kernel; it raises `prompt`'s largest
    /// weights if they are wanted.
    ///
    /// - Parameters:
    ///   - queries: `[headDim, queryHeads, tokens]`, a token's heads one after the other
    ///   - keys: `[headDim, rows, kvHeads]`, a head's rows one after the other
    ///   - values: like `keys`
    ///   - sinks: `[queryHeads]`: a term of each head's softmax that no row gets; nil if there are none.
    ///   - prompt: what the tensors do not say; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[headDim * queryHeads, tokens]`
    package func promptAttention(
        queries: Tensor, keys: Tensor, values: Tensor, sinks: Tensor? = nil,
        prompt: UnsafeMutablePointer<attention_prompt>
    ) -> Tensor {
        let shape = [queries[0] * queries[1], queries[2], 1]
        return custom(shape, [queries, keys, sinks, values], prompt) { target, thread, threads, prompt in
            // Sound: ggml calls this with the tensor made here, whose sources and memory it has allocated.
            var call = attention_prompt(prompt!, of: target!.pointee)
            attention_prompt_attend(
                &call, target!.pointee.data.assumingMemoryBound(to: Float.self), thread, threads)
        }
    }

    /// What each row received from a prompt's queries: the sum of their weights times `prompt`'s factors.
    ///
    /// - Parameters: as of ``promptAttention(queries:keys:values:prompt:)``.
    /// - Returns: `[rows, 1, kvHeads]`
    package func promptReceived(
        queries: Tensor, keys: Tensor, sinks: Tensor? = nil, prompt: UnsafeMutablePointer<attention_prompt>
    ) -> Tensor {
        custom([keys[1], 1, keys[2]], [queries, keys, sinks], prompt) { target, thread, threads, prompt in
            // Sound: as above.
            var call = attention_prompt(prompt!, of: target!.pointee)
            attention_prompt_received(
                &call, target!.pointee.data.assumingMemoryBound(to: Float.self), thread, threads)
        }
    }

    /// Raises `prompt`'s largest weights without attending.
    ///
    /// - Parameters: as of ``promptAttention(queries:keys:values:prompt:)``.
    /// - Returns: a number that says nothing.
    package func promptLargest(
        queries: Tensor, keys: Tensor, sinks: Tensor? = nil, prompt: UnsafeMutablePointer<attention_prompt>
    ) -> Tensor {
        custom([1, 1, 1], [queries, keys, sinks], prompt) { target, thread, threads, prompt in
            // Sound: as above.
            var call = attention_prompt(prompt!, of: target!.pointee)
            attention_prompt_largest(&call, thread, threads)
        }
    }

    private func custom(
        _ shape: [Int], _ sources: [Tensor?], _ prompt: UnsafeMutablePointer<attention_prompt>,
        _ function: @escaping ggml_custom_op_t
    ) -> Tensor {
        var arguments: [UnsafeMutablePointer<ggml_tensor>?] = sources.map { $0?.pointer }
        let result = ggml_custom_4d(
            arena.context, GGML_TYPE_F32, Int64(shape[0]), Int64(shape[1]), Int64(shape[2]), 1, &arguments,
            Int32(arguments.count), function, -1, prompt)
        for source in sources.compactMap(\.self) { arena.retain(source.arena) }
        return wrap(result)
    }
}

extension attention_prompt {
    /// A call with what the sources of an operation say: queries, keys, sinks and, where they are read, values.
    fileprivate init(_ call: UnsafeMutableRawPointer, of operation: ggml_tensor) {
        self = call.load(as: attention_prompt.self)
        let (query, key) = (operation.src.0!.pointee, operation.src.1!.pointee)
        self.query = UnsafePointer(query.data.assumingMemoryBound(to: Float.self))
        query_stride = query.nb.2 / MemoryLayout<Float>.stride
        queries = Int32(query.ne.2)
        rows = Int32(key.ne.1)
        dimension = Int32(query.ne.0)
        heads = Int32(key.ne.2)
        group = Int32(query.ne.1 / key.ne.2)
        keys = UnsafeRawPointer(key.data)
        key_stride = key.nb.2
        sinks = operation.src.2.map { UnsafePointer($0.pointee.data.assumingMemoryBound(to: Float.self)) }
        guard let value = operation.src.3?.pointee else { return }
        values = UnsafeRawPointer(value.data)
        value_stride = value.nb.2
    }
}
