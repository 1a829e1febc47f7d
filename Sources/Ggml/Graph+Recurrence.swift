package import CAttention
internal import CLlama

// Operations of blocks that remember what came before in a state of constant size.
extension Graph {
    package func sigmoid(_ a: Tensor) -> Tensor { wrap(ggml_sigmoid(arena.context, a.pointer), uses: a) }
    package func silu(_ a: Tensor) -> Tensor { wrap(ggml_silu(arena.context, a.pointer), uses: a) }
    /// ln(1 + e^a).
    package func softplus(_ a: Tensor) -> Tensor { wrap(ggml_softplus(arena.context, a.pointer), uses: a) }

    /// Divides each row by its root mean square.
    package func rmsNorm(_ a: Tensor, epsilon: Float) -> Tensor {
        wrap(ggml_rms_norm(arena.context, a.pointer, epsilon), uses: a)
    }

    // MARK: By ggml

    /// Each channel's sum of its last inputs by its weights: inputs `[taps - 1 + tokens, channels]`, whose first are from
    /// before the tokens, and f32 weights `[taps, channels]` to `[channels, tokens]`.
    package func convolve(_ inputs: Tensor, by weights: Tensor) -> Tensor {
        wrap(ggml_ssm_conv(arena.context, inputs.pointer, weights.pointer), uses: inputs, weights)
    }

    /// The gated delta rule (arXiv 2412.06464).
    ///
    /// - Parameters:
    ///   - delta: `decay` is the logarithm of what the memory is multiplied by.
    ///   - memory: `[size, size, heads]`, before the tokens.
    /// - Returns: `[size, heads, tokens]`, and the memory after the tokens, `[size, size, heads]`.
    package func learn(_ delta: DeltaInputs, memory: Tensor) -> (output: Tensor, memory: Tensor) {
        let (size, heads, tokens) = (delta.values[0], delta.values[1], delta.values[2])
        let result = wrap(
            ggml_gated_delta_net(
                arena.context, delta.queries.pointer, delta.keys.pointer, delta.values.pointer, delta.decays.pointer,
                delta.rates.pointer, memory.pointer, 1),
            uses: delta.queries, delta.keys, delta.values, delta.decays, delta.rates, memory)
        let row = 4 * size
        return (
            view(result, [size, heads, tokens], strides: [row, row * heads]),
            view(result, [size, size, heads], strides: [row, row * size], offset: row * heads * tokens)
        )
    }

    /// A state space as in Mamba 2 (arXiv 2405.21060): what is remembered of each number of a head fades, takes in the number
    /// times the head's step along the key, and answers the query.
    ///
    /// - Parameters:
    ///   - space: `steps` are before the softplus.
    ///   - memory: `[stateSize, size, heads]`, before the tokens.
    /// - Returns: `[size, heads, tokens]`, and the memory after the tokens, like `memory`.
    package func scan(_ space: StateSpaceInputs, memory: Tensor) -> (output: Tensor, memory: Tensor) {
        let (size, heads, tokens) = (space.values[0], space.values[1], space.values[2])
        // ggml picks states by number; this is the number of the only one.
        let only = argmax(view(memory, [1, 1], strides: [memory.strides[1]]))
        let result = wrap(
            ggml_ssm_scan(
                arena.context, memory.pointer, space.values.pointer, space.steps.pointer, space.rates.pointer,
                space.keys.pointer, space.queries.pointer, only.pointer, 1),
            uses: memory, space.values, space.steps, space.rates, space.keys, space.queries)
        let row = 4 * size
        return (
            add(
                view(result, [size, heads, tokens], strides: [row, row * heads]), multiply(space.values, space.passing)),
            view(
                result, [memory[0], size, heads], strides: [4 * memory[0], 4 * memory[0] * size],
                offset: row * heads * tokens)
        )
    }

    // MARK: By the kernel

    /// The same as ``convolve(_:by:)``, for the states of any sequences, which lie in the host's memory and follow.
    ///
    /// - Parameters:
    ///   - inputs: `[channels, tokens]`
    ///   - batch: whose tokens they are; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[channels, tokens]`
    package func convolve(
        _ inputs: Tensor, by weights: Tensor, batch: UnsafeMutablePointer<recurrent_batch>
    ) -> Tensor {
        let sources = [inputs, weights]
        precondition(sources.allSatisfy(\.isContiguous), "the kernel reads contiguous vectors")
        return custom(sources, [inputs[0], inputs[1]], batch) { target, thread, threads, batch in
            // Sound: ggml calls this with the tensor made here, whose sources and memory it has allocated.
            var work = recurrent_convolution(target!.pointee)
            recurrent_convolve(batch!.assumingMemoryBound(to: recurrent_batch.self), &work, thread, threads)
        }
    }

    /// The same as ``learn(_:memory:)``, for the states of any sequences, which lie in the host's memory and follow.
    ///
    /// - Parameters:
    ///   - delta: `decays` are what the memory is multiplied by.
    ///   - batch: whose tokens they are; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[size, heads, tokens]`
    package func learn(_ delta: DeltaInputs, batch: UnsafeMutablePointer<recurrent_batch>) -> Tensor {
        custom(kernelSources(delta), delta.values.shape, batch) { target, thread, threads, batch in
            // Sound: as above.
            var work = recurrent_delta(target!.pointee)
            recurrent_learn(batch!.assumingMemoryBound(to: recurrent_batch.self), &work, thread, threads)
        }
    }

    /// The same as ``scan(_:memory:)``, for the states of any sequences, which lie in the host's memory and follow.
    ///
    /// - Parameters:
    ///   - inputs: `decays` are what the memory is multiplied by, `rates` what values are; successive heads share a key head.
    ///   - passing: see ``StateSpaceInputs/passing``.
    ///   - batch: whose tokens they are; read at every ``compute()``, so it must outlive the graph.
    /// - Returns: `[size, heads, tokens]`
    package func scan(_ inputs: DeltaInputs, passing: Tensor, batch: UnsafeMutablePointer<recurrent_batch>) -> Tensor {
        custom(kernelSources(inputs) + [passing], inputs.values.shape, batch) { target, thread, threads, batch in
            // Sound: as above.
            var work = recurrent_delta(target!.pointee)
            (work.corrects, work.groups_heads) = (false, true)
            recurrent_learn(batch!.assumingMemoryBound(to: recurrent_batch.self), &work, thread, threads)
        }
    }

    /// What the kernel reads, in its order.
    private func kernelSources(_ delta: DeltaInputs) -> [Tensor] {
        precondition(
            [delta.queries, delta.keys, delta.decays, delta.rates].allSatisfy(\.isContiguous)
                && delta.values.strides[1] == 4 * delta.values[0], "the kernel reads contiguous vectors")
        return [delta.queries, delta.keys, delta.values, delta.decays, delta.rates]
    }

    private func custom(
        _ sources: [Tensor], _ shape: [Int], _ batch: UnsafeMutablePointer<recurrent_batch>,
        _ body: @convention(c) (UnsafeMutablePointer<ggml_tensor>?, Int32, Int32, UnsafeMutableRawPointer?) -> Void
    ) -> Tensor {
        let e = (shape + [1, 1, 1]).map(Int64.init)
        var arguments: [UnsafeMutablePointer<ggml_tensor>?] = sources.map(\.pointer)
        let result = ggml_custom_4d(
            arena.context, GGML_TYPE_F32, e[0], e[1], e[2], e[3], &arguments, Int32(arguments.count), body, -1, batch)
        for source in sources { arena.retain(source.arena) }
        return wrap(result)
    }
}

/// What the gated delta rule reads of some tokens.
package struct DeltaInputs {
    /// `[size, keyHeads, tokens]`
    package let queries: Tensor
    /// `[size, keyHeads, tokens]`
    package let keys: Tensor
    /// `[size, heads, tokens]`
    package let values: Tensor
    /// How the memory fades, `[1, heads, tokens]`.
    package let decays: Tensor
    /// How much of the difference to a value is learned, `[1, heads, tokens]`.
    package let rates: Tensor

    package init(queries: Tensor, keys: Tensor, values: Tensor, decays: Tensor, rates: Tensor) {
        self.queries = queries
        self.keys = keys
        self.values = values
        self.decays = decays
        self.rates = rates
    }
}

/// What a state space reads of some tokens.
package struct StateSpaceInputs {
    /// `[stateSize, groups, tokens]`; successive heads share a group.
    package let queries: Tensor
    /// `[stateSize, groups, tokens]`
    package let keys: Tensor
    /// `[size, heads, tokens]`
    package let values: Tensor
    /// `[heads, tokens]`, contiguous: how far each head goes with the token, before the softplus.
    package let steps: Tensor
    /// `[1, heads]`, negative: how fast the memory fades.
    package let rates: Tensor
    /// `[1, heads]`: how much of a number is answered at once.
    package let passing: Tensor

    package init(queries: Tensor, keys: Tensor, values: Tensor, steps: Tensor, rates: Tensor, passing: Tensor) {
        self.queries = queries
        self.keys = keys
        self.values = values
        self.steps = steps
        self.rates = rates
        self.passing = passing
    }
}

private func floats(_ tensor: UnsafeMutablePointer<ggml_tensor>?) -> UnsafeMutablePointer<Float> {
    tensor!.pointee.data.assumingMemoryBound(to: Float.self)
}

extension recurrent_convolution {
    /// The sources and the result of an operation that ``Graph/convolve(_:by:batch:)`` made.
    fileprivate init(_ operation: ggml_tensor) {
        self.init(
            input: floats(operation.src.0), weights: floats(operation.src.1),
            output: operation.data.assumingMemoryBound(to: Float.self), channels: Int32(operation.ne.0),
            taps: Int32(operation.src.1!.pointee.ne.0))
    }
}

extension recurrent_delta {
    /// The sources and the result of an operation that ``Graph/learn(_:batch:)`` made.
    fileprivate init(_ operation: ggml_tensor) {
        let values = operation.src.2!.pointee
        self.init(
            query: floats(operation.src.0), key: floats(operation.src.1), value: floats(operation.src.2),
            value_stride: Int(values.nb.2) / MemoryLayout<Float>.stride, decay: floats(operation.src.3),
            rate: floats(operation.src.4), passing: operation.src.5.map { UnsafePointer(floats($0)) },
            output: operation.data.assumingMemoryBound(to: Float.self),
            heads: Int32(operation.ne.1), key_heads: Int32(operation.src.0!.pointee.ne.1), size: Int32(operation.ne.0),
            key_size: Int32(operation.src.0!.pointee.ne.0), corrects: true, groups_heads: false)
    }
}
