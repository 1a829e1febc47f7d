extension PromptRule {
    /// Which entries of a prompt each KV head keeps: indices, ascending.
    ///
    /// - Parameter scores: for each KV head, the summed weights of the window's queries, per position of the prompt.
    func choice(_ scores: [[Float]], in layer: LayerGeometry) -> [[Int]] {
        let prompt = scores[0].count
        let old = prompt - window
        guard cuts(prompt), old > 0 else { return scores.map { Array($0.indices) } }
        let pooled = scores.map { pool(Array($0.prefix(old))) }
        let base = kept(of: prompt, in: layer) - window
        let budgets = alpha.map { HeadBudgets.shared(base, by: pooled, alpha: $0) }
        return pooled.enumerated().map { head, scores in
            let best = ScoreTable.best(budgets?[head] ?? base, of: Array(0..<old), by: scores)
            return best.sorted() + Array(old..<prompt)
        }
    }

    /// Smooths along positions with stride 1; the mean counts zeros beyond the edges.
    func pool(_ scores: [Float]) -> [Float] {
        scores.indices.map { index in
            let neighbours = scores[max(0, index - poolingWidth / 2)...min(scores.count - 1, index + poolingWidth / 2)]
            return pooling == .avg ? neighbours.reduce(0, +) / Float(poolingWidth) : neighbours.max()!
        }
    }
}

/// One budget for the heads of a layer.
enum HeadBudgets {
    /// How many entries each head has, by how many of the layer's best scores lie in it (AdaKV).
    ///
    /// The numbers need not add up to the layer's budget exactly, as in the authors' code.
    ///
    /// - Parameters:
    ///   - base: entries per head, on average.
    ///   - alpha: the share of `base` that every head has for certain.
    static func shared(_ base: Int, by scores: [[Float]], alpha: Double) -> [Int] {
        let flat = scores.flatMap { $0 }
        let heads = scores.enumerated().flatMap { head, all in all.map { _ in head } }
        var counts = scores.map { _ in 0 }
        for index in ScoreTable.best(base * scores.count, of: Array(flat.indices), by: flat) {
            counts[heads[index]] += 1
        }
        let certain = Int(Double(base) * alpha)
        return zip(counts, scores).map { count, all in
            min(all.count, Int((Double(count) * (1 - alpha) + Double(certain)).rounded(.toNearestOrEven)))
        }
    }
}
