internal import Ggml

extension KVCache {
    /// Makes every layer look as full as it can get, for measuring what the largest steps need.
    ///
    /// - Parameter room: slots that stay free in layers that grow.
    func pretendFull(leaving room: Int) {
        let growing = zip(plans, layers).filter { $0.0.slots == nil }.map { max(0, $0.1.slots - room) }
        let origin = context?.tokens ?? 0
        let tokens = growing.min() ?? layers.map(\.slots).max() ?? 0
        for layer in layers {
            layer.used = min(layer.slots, tokens)
            guard let scores = layer.scores else { continue }
            let positions = (0..<layer.slots).map { Float($0 < tokens ? origin + $0 : -1) }
            scores.positions.write(Array(repeating: positions, count: scores.geometry.kvHeads).flatMap { $0 })
        }
        seen = origin + tokens
    }
}
