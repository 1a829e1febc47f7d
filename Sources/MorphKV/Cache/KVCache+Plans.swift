internal import Ggml

/// What every layer of a model keeps, decided before anything is allocated.
extension KVCache {
    /// Several plans for a layer where its heads differ; after a context, also where only some of them stream.
    ///
    /// - Parameter options: prepared for the model.
    static func plans(
        for description: DecoderDescription, _ options: CacheOptions, on placement: DevicePlacement,
        following context: FrozenCache? = nil
    ) throws -> [[LayerPlan]] {
        let plans = try description.layers.indices.map {
            try LayerPlan.plans(description.geometry(of: $0), options, on: placement.device(of: $0))
        }
        var parts = plans
        if let context {
            for (layer, frozen) in zip(plans, context.layers) { try frozen.check(layer) }
            parts = plans.map { $0.flatMap { $0.parts(following: context) } }
        }
        let floor = try floor(
            of: parts, options.positions, context: description.contextLength, frozen: context?.tokens ?? 0)
        guard let floor else { return parts }
        return zip(parts, description.layers).map { plans, layer in plans.map { $0.moving(floor, layer.rope) } }
    }

    /// What keeps positions close together; nil if nothing does.
    ///
    /// - Parameters:
    ///   - context: tokens of the trained context.
    ///   - frozen: positions of a text that is held elsewhere, which keep their distances from each other.
    private static func floor(
        of plans: [[LayerPlan]], _ limit: CacheOptions.PositionLimit, context: Int, frozen: Int
    ) throws -> PositionFloor? {
        let asked: Int?
        switch limit {
        case .none: return nil
        case .trained: asked = nil
        case .tokens(let tokens): asked = tokens
        }
        let all = plans.joined()
        guard all.allSatisfy({ $0.slots != nil }) else { return nil }
        let moved = all.filter { $0.geometry.sees(beyond: asked ?? context * 3 / 4) }
        guard let entries = moved.compactMap(\.slots).max() else { return nil }
        if let type = moved.first(where: { !$0.movesPlaces && !$0.keyType.canRotate })?.keyType {
            guard asked == nil else {
                throw CacheError(
                    .positions,
                    "keys of type \(type) cannot be moved by graphs, nor where a policy compares keys: each time would round "
                        + "too much of them away")
            }
            return nil
        }
        return try PositionFloor(asked, context: context, entries: frozen + entries)
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
        let own = self.heads ?? Array(0..<modelHeads)
        guard let rule = context.streaming, case let heads = own.filter(rule.heads[geometry.layer].contains),
            !heads.isEmpty
        else { return [main] }
        let others = own.filter { !heads.contains($0) }
        if others.isEmpty { return [main.streaming(self.heads, sinks: rule.sinks, recent: rule.recent)] }
        return [main.restricted(to: others), main.streaming(heads, sinks: rule.sinks, recent: rule.recent)]
    }
}

extension FrozenLayer {
    /// - Throws: ``CacheError`` when sequences of these plans cannot go on from it.
    fileprivate func check(_ plans: [LayerPlan]) throws {
        for plan in plans {
            guard plan.keyType == layout.keyType, plan.valueType == layout.valueType else {
                throw CacheError(
                    .elementType,
                    "the context holds \(layout.keyType) keys and \(layout.valueType) values, the cache "
                        + "would hold \(plan.keyType) and \(plan.valueType)")
            }
            if case .once = plan.rule {
                throw CacheError(
                    .invalidPolicy, "a policy that cuts the first prompt has nothing to cut after a context")
            }
        }
    }
}
