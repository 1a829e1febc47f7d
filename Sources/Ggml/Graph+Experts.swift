internal import CLlama

// Operations of networks of which each token gets a few.
extension Graph {
    /// The indices of the k largest elements of each row, the largest first: `[n, rows]` to i32 `[k, rows]`.
    package func largest(_ k: Int, of a: Tensor) -> Tensor {
        wrap(ggml_argsort_top_k(arena.context, a.pointer, Int32(k)), uses: a)
    }

    /// Products with chosen matrices: matrices `[k, n, count]`, vectors `[k, 1 or chosen, tokens]` and i32
    /// `[chosen, tokens]` to `[n, chosen, tokens]`, 32-bit floats.
    package func matmul(_ matrices: Tensor, _ vectors: Tensor, at indices: Tensor) -> Tensor {
        wrap(
            ggml_mul_mat_id(arena.context, matrices.pointer, vectors.pointer, indices.pointer),
            uses: matrices, vectors, indices)
    }

    /// `a` `[n, chosen, tokens]` plus the chosen ones of the rows `[n, count]`.
    package func add(_ a: Tensor, _ rows: Tensor, at indices: Tensor) -> Tensor {
        wrap(ggml_add_id(arena.context, a.pointer, rows.pointer, indices.pointer), uses: a, rows, indices)
    }
}
