internal import Ggml

/// What every layer of a model keeps, decided before anything is allocated.
extension KVCache {
    static func plans(
        for description: DecoderDescription, _ options: CacheOptions, on device: Device
    ) throws -> [LayerPlan] {
        try description.layers.indices.map { try LayerPlan(description.geometry(of: $0), options, on: device) }
    }

    /// What every layer keeps after a context; a second plan where only some heads stream.
    static func plans(
        for description: DecoderDescription, _ options: CacheOptions, on device: Device, following context: FrozenCache?
    ) throws -> [[LayerPlan]] {
        let plans = try plans(for: description, options, on: device)
        guard let context else { return plans.map { [$0] } }
        try context.check(plans)
        return plans.map { $0.parts(following: context) }
    }

    /// The slots of a growing layer with room for so many tokens.
    static func rounded(_ tokens: Int) -> Int {
        // More slots cannot be numbered, and no memory holds them.
        max(1, (min(tokens, Int(Int32.max)) + growth - 1) / growth) * growth
    }
}

extension LayerPlan {
    /// The plans of what follows a text that is held elsewhere.
    fileprivate func parts(following context: FrozenCache) -> [LayerPlan] {
        let main = following(context.tokens)
        guard let rule = context.streaming, case let heads = rule.heads[geometry.layer], !heads.isEmpty else {
            return [main]
        }
        let others = (0..<geometry.kvHeads).filter { !heads.contains($0) }
        if others.isEmpty { return [main.streaming(nil, sinks: rule.sinks, recent: rule.recent)] }
        return [main.restricted(to: others), main.streaming(heads, sinks: rule.sinks, recent: rule.recent)]
    }
}

extension FrozenCache {
    /// - Throws: ``CacheError`` when sequences of these plans cannot go on from it.
    fileprivate func check(_ plans: [LayerPlan]) throws {
        for (plan, layer) in zip(plans, layers) {
            guard plan.isFused else {
                throw CacheError(.attention, "only the fused kernel, on the CPU, can attend to a context")
            }
            guard plan.keyType == layer.layout.keyType, plan.valueType == layer.layout.valueType else {
                throw CacheError(
                    .elementType,
                    "the context holds \(layer.layout.keyType) keys and \(layer.layout.valueType) values, the cache "
                        + "would hold \(plan.keyType) and \(plan.valueType)")
            }
            if case .once = plan.rule {
                throw CacheError(
                    .invalidPolicy, "a policy that cuts the first prompt has nothing to cut after a context")
            }
        }
    }
}
