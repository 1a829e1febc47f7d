/// How much each entry of a text matters.
struct EntryScores: Sendable, Hashable {
    /// For each layer and KV head one number per entry that is still held behind the protected ones, ascending by
    /// position; nil for layers that are never cut, because they see a sliding window only.
    var values: [[[Float]]?]
    /// Entries that each KV head had before anything was cut.
    var tokens: Int

    /// The largest score in each head: `[layer][kvHead]`, empty for layers that are not cut.
    var heads: [[Float]] { values.map { $0?.map { $0.max() ?? 0 } ?? [] } }

    /// Bytes of all numbers.
    var bytes: Int { values.reduce(0) { $0 + ($1 ?? []).reduce(0) { $0 + $1.count * MemoryLayout<Float>.stride } } }

    /// The scores of the entries that stay.
    func keeping(_ kept: [[[Int]]?]) -> EntryScores {
        var result = self
        for (layer, heads) in kept.enumerated() {
            guard let heads, let values = values[layer] else { continue }
            result.values[layer] = zip(values, heads).map { values, kept in kept.map { values[$0] } }
        }
        return result
    }
}

extension TextForesight {
    /// The scores of all entries behind the first `system` ones.
    func scores(after system: Int) -> EntryScores {
        EntryScores(
            values: scores.map { heads in heads.isEmpty ? nil : heads.map { Array($0.dropFirst(system)) } },
            tokens: tokens - system)
    }
}

/// Choosing what stays by scores; pure functions, the rules of KVzip's code.
struct Selection {
    let scores: EntryScores

    private var heads: Int { scores.values.lazy.compactMap { $0?.count }.first ?? 0 }
    private var layers: Int { scores.values.lazy.filter { $0 != nil }.count }
    /// Entries of all layers that can be cut, before anything was.
    private var total: Int { layers * heads * scores.tokens }

    /// For each layer and KV head, the indices of the entries that stay, ascending; nil for layers that are not cut.
    ///
    /// - Parameter ratio: which share of the entries stays, 0 to 1.
    func keep(_ ratio: Double, _ level: Compression.Level, _ curve: LayerCurve) -> [[[Int]]?] {
        guard ratio < 1 else { return scores.values.map { $0.map { $0.map { Array($0.indices) } } } }
        switch level {
        case .pair: return aboveThreshold(scores.values, count: Int(Double(total) * ratio))
        case .uniform:
            return withinLayers(Int(Double(scores.tokens) * ratio), curve) { base, values in
                values.map { Self.best(base, of: $0) }
            }
        case .layer(let alpha):
            return withinLayers(Int(Double(scores.tokens) * ratio), curve) { base, values in
                zip(HeadBudgets.shared(base, by: values, alpha: alpha), values).map { Self.best($0, of: $1) }
            }
        case .head:
            let byHead = scores.values.map { $0.map { $0.map { values in values.map { _ in values.max() ?? 0 } } } }
            return aboveThreshold(byHead, count: Int(Double(total) * ratio))
        }
    }

    /// Entries whose score is greater than that of entry `count` - 1, counted from 0, of all in descending order.
    private func aboveThreshold(_ values: [[[Float]]?], count: Int) -> [[[Int]]?] {
        let sorted = values.flatMap { $0?.flatMap { $0 } ?? [] }.sorted(by: >)
        let index = max(count - 1, 0)
        let threshold = index < sorted.count ? sorted[index] : -.infinity
        return values.map { $0?.map { values in values.indices.filter { values[$0] > threshold } } }
    }

    private func withinLayers(
        _ base: Int, _ curve: LayerCurve, _ choose: (Int, [[Float]]) -> [[Int]]
    ) -> [[[Int]]?] {
        scores.values.enumerated().map { layer, values in
            values.map {
                choose(
                    curve.budget(base, most: scores.tokens, layer: layer, of: scores.values.count), $0)
            }
        }
    }

    private static func best(_ count: Int, of scores: [Float]) -> [Int] {
        ScoreTable.best(count, of: Array(scores.indices), by: scores).sorted()
    }
}
