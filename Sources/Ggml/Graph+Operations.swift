internal import CLlama

// One method per ggml operation that we use. Shapes are given fastest dimension first, as in ggml.

/// How RoPE turns positions into angles; the arguments of `ggml_rope_ext`.
package struct RopeParameters: Sendable, Hashable {
    /// Which elements form a pair.
    package enum Pairing: Int32, Sendable, Hashable {
        /// Neighbours (2i, 2i+1), as Llama's GGUF files store them.
        case neighbours = 0
        /// Halves (i, i + n/2), as GPT-NeoX.
        case halves = 2
    }

    package var pairing: Pairing
    package var dimensions: Int
    package var base: Float
    package var scale: Float = 1
    package var originalContext: Int = 0
    package var extrapolation: Float = 0
    package var attentionFactor: Float = 1
    package var betaFast: Float = 32
    package var betaSlow: Float = 1

    package init(pairing: Pairing, dimensions: Int, base: Float) {
        self.pairing = pairing
        self.dimensions = dimensions
        self.base = base
    }
}

extension Graph {
    // MARK: Arithmetic

    /// a + b; b is repeated along dimensions where it has one element.
    package func add(_ a: Tensor, _ b: Tensor) -> Tensor {
        wrap(ggml_add(arena.context, a.pointer, b.pointer), uses: a, b)
    }

    /// a - b; b is repeated along dimensions where it has one element.
    package func subtract(_ a: Tensor, _ b: Tensor) -> Tensor {
        wrap(ggml_sub(arena.context, a.pointer, b.pointer), uses: a, b)
    }

    /// a * b elementwise; b is repeated along dimensions where it has one element.
    package func multiply(_ a: Tensor, _ b: Tensor) -> Tensor {
        wrap(ggml_mul(arena.context, a.pointer, b.pointer), uses: a, b)
    }

    /// a / b elementwise; b is repeated along dimensions where it has one element.
    package func divide(_ a: Tensor, by b: Tensor) -> Tensor {
        wrap(ggml_div(arena.context, a.pointer, b.pointer), uses: a, b)
    }

    /// a * factor + offset.
    package func scale(_ a: Tensor, by factor: Float, plus offset: Float = 0) -> Tensor {
        wrap(ggml_scale_bias(arena.context, a.pointer, factor, offset), uses: a)
    }

    /// 1 where a > 0, else 0.
    package func step(_ a: Tensor) -> Tensor { wrap(ggml_step(arena.context, a.pointer), uses: a) }

    /// The larger of a and b, elementwise, as b + max(a - b, 0).
    package func maximum(_ a: Tensor, _ b: Tensor) -> Tensor {
        add(wrap(ggml_relu(arena.context, subtract(a, b).pointer)), b)
    }

    package func abs(_ a: Tensor) -> Tensor { wrap(ggml_abs(arena.context, a.pointer), uses: a) }
    /// 1, 0 or -1, as the sign is.
    package func sign(_ a: Tensor) -> Tensor { wrap(ggml_sgn(arena.context, a.pointer), uses: a) }
    package func squareRoot(_ a: Tensor) -> Tensor { wrap(ggml_sqrt(arena.context, a.pointer), uses: a) }
    /// The nearest whole number; halves go away from zero.
    package func round(_ a: Tensor) -> Tensor { wrap(ggml_round(arena.context, a.pointer), uses: a) }
    package func clamp(_ a: Tensor, to range: ClosedRange<Float>) -> Tensor {
        wrap(ggml_clamp(arena.context, a.pointer, range.lowerBound, range.upperBound), uses: a)
    }
    /// The same numbers in another type.
    package func cast(_ a: Tensor, to type: ElementType) -> Tensor {
        wrap(ggml_cast(arena.context, a.pointer, type.ggml), uses: a)
    }
    package func exp(_ a: Tensor) -> Tensor { wrap(ggml_exp(arena.context, a.pointer), uses: a) }
    package func log(_ a: Tensor) -> Tensor { wrap(ggml_log(arena.context, a.pointer), uses: a) }
    package func relu(_ a: Tensor) -> Tensor { wrap(ggml_relu(arena.context, a.pointer), uses: a) }
    /// With the tanh approximation.
    package func gelu(_ a: Tensor) -> Tensor { wrap(ggml_gelu(arena.context, a.pointer), uses: a) }
    package func tanh(_ a: Tensor) -> Tensor { wrap(ggml_tanh(arena.context, a.pointer), uses: a) }

    /// The sum of each row: `[n, ...]` to `[1, ...]`.
    package func sumRows(_ a: Tensor) -> Tensor { wrap(ggml_sum_rows(arena.context, a.pointer), uses: a) }

    /// Each row divided by its length: unit vectors; rows of zeros stay zeros.
    package func unitRows(_ a: Tensor) -> Tensor { wrap(ggml_l2_norm(arena.context, a.pointer, 1e-12), uses: a) }

    /// The index of the largest element of each row: `[n, rows]` to i32 `[rows]`.
    package func argmax(_ a: Tensor) -> Tensor { wrap(ggml_argmax(arena.context, a.pointer), uses: a) }

    // MARK: Neural network layers

    /// Matrix product: `[k, n]` by `[k, m]` to `[n, m]`, 32-bit floats.
    ///
    /// Further dimensions of the first factor are repeated to those of the second.
    package func matmul(_ a: Tensor, _ b: Tensor) -> Tensor {
        if let level = a.arena.products { return product(of: a, b, level: level) }
        return wrap(ggml_mul_mat(arena.context, a.pointer, b.pointer), uses: a, b)
    }

    /// Divides each row by its root mean square and multiplies by `weight`.
    package func rmsNorm(_ a: Tensor, weight: Tensor, epsilon: Float) -> Tensor {
        multiply(wrap(ggml_rms_norm(arena.context, a.pointer, epsilon), uses: a), weight)
    }

    /// Rotates `[headDim, heads, tokens]` by the tokens' positions (i32 `[tokens]`).
    package func rope(_ a: Tensor, positions: Tensor, factors: Tensor?, _ p: RopeParameters) -> Tensor {
        if let factors { arena.retain(factors.arena) }
        let result = ggml_rope_ext(
            arena.context, a.pointer, positions.pointer, factors?.pointer, Int32(p.dimensions), p.pairing.rawValue,
            Int32(p.originalContext), p.base, p.scale, p.extrapolation, p.attentionFactor, p.betaFast, p.betaSlow)
        return wrap(result, uses: a, positions)
    }

    /// g * sigmoid(1.702 g) * (u + 1), with g the gate up to 7 and u up within -7 and 7.
    package func clampedSwiglu(gate: Tensor, up: Tensor) -> Tensor {
        wrap(ggml_swiglu_oai(arena.context, gate.pointer, up.pointer, 1.702, 7), uses: gate, up)
    }

    /// silu(gate) * up.
    package func swiglu(gate: Tensor, up: Tensor) -> Tensor {
        sharedOut(gate, up) { wrap(ggml_swiglu_split(arena.context, $0.pointer, $1.pointer), uses: $0, $1) }
    }

    /// silu of the first half of each row times the second half.
    package func swiglu(_ gateAndUp: Tensor) -> Tensor {
        wrap(ggml_swiglu(arena.context, gateAndUp.pointer), uses: gateAndUp)
    }

    /// gelu(gate) * up, with the tanh approximation.
    package func geglu(gate: Tensor, up: Tensor) -> Tensor {
        sharedOut(gate, up) { wrap(ggml_geglu_split(arena.context, $0.pointer, $1.pointer), uses: $0, $1) }
    }

    /// An operation on each pair of numbers by itself. ggml's threads share out rows, and one token's numbers are one row: so they
    /// become several.
    private func sharedOut(_ a: Tensor, _ b: Tensor, _ operation: (Tensor, Tensor) -> Tensor) -> Tensor {
        guard let rows = rowsForThreads(a), a.isContiguous, b.isContiguous else { return operation(a, b) }
        return reshape(operation(reshape(a, rows), reshape(b, rows)), a.shape)
    }

    /// The shape of the same numbers in more rows, which are vectors of 16 still; nil where that helps nobody.
    private func rowsForThreads(_ a: Tensor) -> [Int]? {
        let (parts, rows) = (16, a.count / a[0])
        guard backend.device.usesHostMemory, backend.threads > 1, rows < 8, a[0] >= 1024, a[0] % (16 * parts) == 0
        else {
            return nil
        }
        return [a[0] / parts, rows * parts]
    }

    /// cap * tanh(a / cap).
    package func softCapped(_ a: Tensor, by cap: Float) -> Tensor {
        let rows = a.isContiguous ? rowsForThreads(a) : nil
        let capped = scale(tanh(scale(rows.map { reshape(a, $0) } ?? a, by: 1 / cap)), by: cap)
        return rows == nil ? capped : reshape(capped, a.shape)
    }

    /// gelu of the first half of each row times the second half, with the tanh approximation.
    package func geglu(_ gateAndUp: Tensor) -> Tensor {
        wrap(ggml_geglu(arena.context, gateAndUp.pointer), uses: gateAndUp)
    }

    /// softmax(a * scale + mask) along rows; the mask is repeated over dimensions 2 and 3.
    ///
    /// - Parameter sinks: `[heads]`, for `a` `[n, rows, heads]`: a term of each row's sum that no element gets.
    package func softmax(_ a: Tensor, mask: Tensor? = nil, scale: Float = 1, sinks: Tensor? = nil) -> Tensor {
        for other in [mask, sinks].compactMap(\.self) { arena.retain(other.arena) }
        let result = ggml_soft_max_ext(arena.context, a.pointer, mask?.pointer, scale, 0)
        ggml_soft_max_add_sinks(result, sinks?.pointer)
        return wrap(result, uses: a)
    }

    /// Fused attention: q `[d, queries, heads]`, k and v `[d, slots, kvHeads]`, mask f16 `[slots, queries, 1 or heads]`
    /// to `[d, heads, queries]`.
    ///
    /// - Parameter sinks: `[heads]`: a term of each head's softmax that no slot gets.
    package func flashAttention(
        q: Tensor, k: Tensor, v: Tensor, mask: Tensor?, scale: Float, sinks: Tensor? = nil
    ) -> Tensor {
        for other in [mask, sinks].compactMap(\.self) { arena.retain(other.arena) }
        let result = ggml_flash_attn_ext(
            arena.context, q.pointer, k.pointer, v.pointer, mask?.pointer, scale, 0, 0)
        ggml_flash_attn_ext_add_sinks(result, sinks?.pointer)
        ggml_prec_set_acc(result, GGML_PREC_F32)
        return wrap(result, uses: q, k, v)
    }

    // MARK: Moving rows

    /// Rows of `a` `[d, n, h]` by index (i32 `[rows, h]`), as 32-bit floats `[d, rows, h]`.
    package func rows(_ a: Tensor, at indices: Tensor) -> Tensor {
        wrap(ggml_get_rows(arena.context, a.pointer, indices.pointer), uses: a, indices)
    }

    /// Writes rows `[d, rows, ...]` into `target` by index (i32 `[rows, ...]`, repeated over further dimensions).
    package func setRows(of target: Tensor, to rows: Tensor, at indices: Tensor) -> Tensor {
        wrap(ggml_set_rows(arena.context, target.pointer, rows.pointer, indices.pointer), uses: target, rows, indices)
    }

    /// Copies `a` into `target`, converting the type.
    package func copy(_ a: Tensor, to target: Tensor) -> Tensor {
        var source = a.pointer
        if target.type.blockLength > 1, a.type != target.type, !target.isContiguous {
            // ggml quantises into memory without gaps only, and copies from there to anywhere.
            source = ggml_cast(arena.context, a.pointer, target.type.ggml)
        }
        return wrap(ggml_cpy(arena.context, source, target.pointer), uses: a, target)
    }

    /// The same values as f32.
    package func floats(_ a: Tensor) -> Tensor {
        a.type == .f32 ? a : wrap(ggml_cast(arena.context, a.pointer, ElementType.f32.ggml), uses: a)
    }

    /// The same values, laid out without gaps.
    package func contiguous(_ a: Tensor) -> Tensor { wrap(ggml_cont(arena.context, a.pointer), uses: a) }

    /// The two side by side along a dimension.
    package func concat(_ a: Tensor, _ b: Tensor, along dimension: Int) -> Tensor {
        wrap(ggml_concat(arena.context, a.pointer, b.pointer, Int32(dimension)), uses: a, b)
    }

    /// `a`, repeated to a larger shape.
    package func repeated(_ a: Tensor, to shape: [Int]) -> Tensor {
        let e = (shape + [1, 1, 1, 1]).map(Int64.init)
        return wrap(ggml_repeat_4d(arena.context, a.pointer, e[0], e[1], e[2], e[3]), uses: a)
    }

    // MARK: Looking at the same memory differently

    /// The same contiguous values under another shape.
    package func reshape(_ a: Tensor, _ shape: [Int]) -> Tensor {
        let e = shape.map(Int64.init)
        let context = arena.context
        let result =
            switch shape.count {
            case 1: ggml_reshape_1d(context, a.pointer, e[0])
            case 2: ggml_reshape_2d(context, a.pointer, e[0], e[1])
            case 3: ggml_reshape_3d(context, a.pointer, e[0], e[1], e[2])
            default: ggml_reshape_4d(context, a.pointer, e[0], e[1], e[2], e[3])
            }
        return wrap(result, uses: a)
    }

    /// Dimension i of `a` becomes dimension `axes[i]`.
    package func permute(_ a: Tensor, _ axes: [Int]) -> Tensor {
        let x = axes.map(Int32.init)
        return wrap(ggml_permute(arena.context, a.pointer, x[0], x[1], x[2], x[3]), uses: a)
    }

    /// A part of `a`: extents, the byte strides of dimensions 1 and up, and a byte offset.
    package func view(_ a: Tensor, _ shape: [Int], strides: [Int] = [], offset: Int = 0) -> Tensor {
        let e = shape.map(Int64.init)
        let s = strides
        let context = arena.context
        let result =
            switch shape.count {
            case 1: ggml_view_1d(context, a.pointer, e[0], offset)
            case 2: ggml_view_2d(context, a.pointer, e[0], e[1], s[0], offset)
            case 3: ggml_view_3d(context, a.pointer, e[0], e[1], e[2], s[0], s[1], offset)
            default: ggml_view_4d(context, a.pointer, e[0], e[1], e[2], e[3], s[0], s[1], s[2], offset)
            }
        return wrap(result, uses: a)
    }
}
