internal import Ggml

extension Graph {
    /// How two tensors become one.
    enum Combination {
        case sum
        case max
    }

    func combine(_ a: Tensor, _ b: Tensor, by combination: Combination) -> Tensor {
        combination == .sum ? add(a, b) : maximum(a, b)
    }

    /// Reduces the middle dimension: `[n, rows, m]` to `[n, 1, m]`, by halves.
    func reduceRows(_ tensor: Tensor, by combination: Combination) -> Tensor {
        var current = tensor
        var rows = current[1]
        func part(_ first: Int, _ count: Int) -> Tensor {
            view(
                current, [current[0], count, current[2]], strides: [current.strides[1], current.strides[2]],
                offset: first * current.strides[1])
        }
        var leftOver: [Tensor] = []
        while rows > 1 {
            let half = rows / 2
            if rows % 2 == 1 { leftOver.append(part(rows - 1, 1)) }
            current = combine(part(0, half), part(half, half), by: combination)
            rows = half
        }
        return leftOver.reduce(current) { combine($0, $1, by: combination) }
    }

    /// Reduces the query heads that share a KV head: `[n, group, kvHeads]` to `[n, kvHeads]`.
    func reduceGroup(_ weights: Tensor, by reduction: ScoringRule.GroupReduction) -> Tensor {
        let reduced = reduceRows(weights, by: reduction == .sum ? .sum : .max)
        return reshape(reduced.isContiguous ? reduced : contiguous(reduced), [weights[0], weights[2]])
    }

    /// The logarithm of each softmax's denominator: `[n, ...]` to `[1, 1, rows]`.
    ///
    /// ggml's softmax does not give the denominator, but score - log(weight) is its logarithm for every entry; the
    /// heaviest entry is the one where that is well conditioned.
    ///
    /// - Parameters:
    ///   - scores: what the softmax was taken of, at least where weights are not zero.
    ///   - weights: its result, of the same shape.
    func logDenominators(scores: Tensor, weights: Tensor) -> Tensor {
        let n = weights[0]
        let rows = weights.count / n
        let best = reshape(argmax(reshape(weights, [n, rows])), [1, rows])
        let score = self.rows(reshape(scores, [1, n, rows]), at: best)
        let weight = self.rows(reshape(weights, [1, n, rows]), at: best)
        return subtract(score, log(weight))
    }
}
