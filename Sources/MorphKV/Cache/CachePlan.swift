internal import Ggml

/// What a cache will cost, without allocating it.
public struct CachePlan: Sendable, Hashable {
    /// Bytes of each layer, from the input: keys, values, positions, scores and rings.
    public let layerBytes: [Int]
    /// The rule that really applies in each layer, its sliding window taken into account.
    public let rules: [RetentionRule]

    /// Bytes of all layers.
    public var bytes: Int { layerBytes.reduce(0, +) }

    /// Plans a cache.
    ///
    /// - Parameter tokens: the sequence length for which a growing cache is planned.
    /// - Throws: ``CacheError`` when the policy cannot be honoured for this model.
    public init(_ model: Model, _ options: CacheOptions, tokens: Int) throws {
        let backend = try Backend(model.device, threads: 1)
        let plans = try KVCache.plans(for: model.description, options, on: model.device)
        rules = plans.map(\.rule)
        layerBytes = try plans.map { plan in
            let layer = try LayerCache(plan, slots: plan.slots ?? KVCache.rounded(tokens), scale: 1)
            layer.plan(on: backend)
            return layer.plannedBytes
        }
    }
}
