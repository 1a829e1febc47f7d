/// How a budget of entries is spread over the layers.
public enum LayerCurve: Sendable, Hashable {
    /// Every layer has the same.
    case uniform
    /// Falling with depth: the first layer has most, the last `beta` times fewer than the mean (PyramidKV).
    case pyramid(beta: Int)
    /// In proportion to these numbers, one per layer.
    case weights([Double])

    /// - Throws: ``CacheError`` of kind `invalidPolicy` when it makes no sense for a model of that many layers.
    func validate(layerCount: Int) throws {
        switch self {
        case .uniform: break
        case .pyramid(let beta):
            guard beta >= 1 else { throw CacheError(.invalidPolicy, "a beta of \(beta): 1 or more is needed") }
        case .weights(let weights):
            guard weights.count == layerCount else {
                throw CacheError(
                    .invalidPolicy, "the curve has \(weights.count) numbers; the model has \(layerCount) layers")
            }
            guard weights.allSatisfy({ $0 >= 0 && $0.isFinite }), weights.contains(where: { $0 > 0 }) else {
                throw CacheError(.invalidPolicy, "the numbers of a curve are 0 or more, and not all of them 0")
            }
        }
    }

    /// Entries that one layer has.
    ///
    /// - Parameters:
    ///   - base: the mean over the layers.
    ///   - most: how many entries there are to choose from.
    func budget(_ base: Int, most: Int, layer: Int, of layerCount: Int) -> Int {
        switch self {
        case .uniform: return base
        case .pyramid(let beta):
            guard layerCount > 1 else { return base }
            var lowest = base / beta
            var highest = 2 * base - lowest
            if highest >= most {
                highest = most
                lowest = 2 * base - highest
            }
            return highest - layer * ((highest - lowest) / (layerCount - 1))
        case .weights(let weights):
            // Large numbers would add up to infinity.
            let shares = weights.map { $0 / weights.max()! }
            let mean = shares.reduce(0, +) / Double(shares.count)
            return min(most, Int((Double(base) * shares[layer] / mean).rounded(.down)))
        }
    }
}
