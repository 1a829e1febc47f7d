extension OnceRule {
    /// Which entries of a prompt one KV head keeps: indices, ascending.
    ///
    /// - Parameters:
    ///   - scores: the summed weights of the window's queries, per position of the prompt.
    ///   - count: how many stay, the window included.
    func keep(_ count: Int, scores: [Float]) -> [Int] {
        let old = scores.count - window
        guard count < scores.count, old > 0 else { return Array(scores.indices) }
        let pooled = pool(Array(scores.prefix(old)))
        let best = ScoreTable.best(count - window, of: Array(0..<old), by: pooled)
        return best.sorted() + Array(old..<scores.count)
    }

    /// Smooths along positions with stride 1; the mean counts zeros beyond the edges.
    private func pool(_ scores: [Float]) -> [Float] {
        scores.indices.map { index in
            let neighbours = scores[max(0, index - kernel / 2)...min(scores.count - 1, index + kernel / 2)]
            return pooling == .avg ? neighbours.reduce(0, +) / Float(kernel) : neighbours.max()!
        }
    }
}
