internal import Ggml

/// The caches of all layers of one sequence.
final class KVCache {
    /// By how many slots a growing layer grows.
    static let growth = 256

    let options: CacheOptions
    /// One per layer of the model.
    let plans: [LayerPlan]
    /// One per layer of the model; where only some heads of a layer stream, for those that do not.
    private(set) var layers: [LayerCache]
    /// Where only some heads of a layer stream: for those that do.
    private(set) var streaming: [LayerCache?]
    /// What the sequence goes on from, which others may share; nil if it begins with nothing.
    let context: FrozenCache?
    private let backend: Backend
    private let scale: Float
    /// Tokens of the sequence so far: the position of the next one.
    var seen = 0

    /// Decides what every layer keeps, and allocates it.
    ///
    /// - Parameters:
    ///   - reserve: tokens that a growing cache has room for at once.
    ///   - context: what the sequence goes on from.
    /// - Throws: ``CacheError`` when the policy cannot be honoured in some layer, `GgmlError` when memory is short.
    init(
        _ description: DecoderDescription, _ options: CacheOptions, on backend: Backend, reserve: Int,
        context: FrozenCache? = nil
    ) throws {
        self.options = options
        self.backend = backend
        self.context = context
        scale = description.attentionScale
        let parts = try Self.plans(for: description, options, on: backend.device, following: context)
        plans = parts.map(\.main)
        layers = try parts.map {
            try LayerCache($0.main, slots: $0.main.slots ?? Self.rounded(reserve), scale: description.attentionScale)
        }
        streaming = try parts.map {
            try $0.streaming.map { try LayerCache($0, slots: $0.slots!, scale: description.attentionScale) }
        }
        for layer in layers { try layer.allocate(on: backend) }
        for layer in streaming { try layer?.allocate(on: backend) }
        clear()
    }

    static func plans(
        for description: DecoderDescription, _ options: CacheOptions, on device: Device
    ) throws -> [LayerPlan] {
        try description.layers.enumerated().map { index, layer in
            let geometry = LayerGeometry(
                layer: index, layerCount: description.layers.count, queryHeads: description.queryHeads,
                kvHeads: description.kvHeads, headDimension: description.headDimension,
                slidingWindow: layer.slidingWindow)
            return try LayerPlan(geometry, options, on: device)
        }
    }

    /// What every layer keeps after a context; a second plan where only some heads stream.
    static func plans(
        for description: DecoderDescription, _ options: CacheOptions, on device: Device, following context: FrozenCache?
    ) throws -> [(main: LayerPlan, streaming: LayerPlan?)] {
        let plans = try plans(for: description, options, on: device)
        guard let context else { return plans.map { ($0, nil) } }
        try context.check(plans)
        return plans.map { $0.parts(following: context) }
    }

    static func rounded(_ tokens: Int) -> Int {
        // More slots cannot be numbered, and no memory holds them.
        max(1, (min(tokens, Int(Int32.max)) + growth - 1) / growth) * growth
    }

    /// How many caches a layer of the model has: two where only some of its heads stream.
    func partCount(of layer: Int) -> Int { streaming[layer] == nil ? 1 : 2 }

    /// One of a layer's caches, which together are for all of its heads.
    func part(_ part: Int, of layer: Int) -> LayerCache { part == 0 ? layers[layer] : streaming[layer]! }

    private func parts(of layer: Int) -> [LayerCache] { (0..<partCount(of: layer)).map { part($0, of: layer) } }

    /// Gives growing layers room for that many more tokens, one layer after the other.
    ///
    /// - Parameter isFirstPrompt: whether a rule that chooses once cuts them; then it needs room for what it keeps only.
    func grow(by tokens: Int, isFirstPrompt: Bool = false) throws {
        for index in layers.indices where plans[index].slots == nil {
            let old = layers[index]
            var needed = old.used + tokens
            if isFirstPrompt, case .once(let rule) = plans[index].rule {
                needed = rule.slots(for: needed, in: plans[index].geometry)
            }
            guard needed > old.slots else { continue }
            let new = try LayerCache(plans[index], slots: Self.rounded(needed), scale: scale)
            try new.allocate(on: backend)
            if old.frozen != nil { new.follow(old.frozen, next: old.origin) }
            try new.copyEntries(of: old, on: backend)
            layers[index] = new
        }
    }

    /// Makes room in layers whose rule drops many entries at a time.
    func evictBursts() {
        for layer in layers { layer.evictBurst(seen: seen) }
    }

    /// Whether the fused kernel attends to the cache.
    var isFused: Bool { plans[0].isFused }

    /// Whether entries are seen besides those in the slots, so that prompts enter token by token.
    var hasFrozenEntries: Bool { layers.contains { $0.frozen != nil } }

    /// Whether several tokens may not enter at once, because a rule drops many entries between two of them.
    var isBursty: Bool { plans.contains { $0.scoring?.isBursty == true } }

    /// Notes that tokens were decoded.
    func advance(by tokens: Int) {
        seen += tokens
        for layer in layers { layer.advance(by: tokens) }
        for layer in streaming { layer?.advance(by: tokens) }
    }

    /// Forgets the whole sequence, except what it goes on from.
    func clear() {
        seen = context?.tokens ?? 0
        for index in layers.indices {
            for layer in parts(of: index) {
                if layer.frozen != nil || context != nil {
                    layer.follow(context?.layers[index], next: seen)
                } else {
                    layer.clear()
                }
            }
        }
    }

    /// Replaces the slots of a layer that grows by so many empty ones.
    func empty(_ index: Int, slots: Int = KVCache.growth) throws {
        let new = try LayerCache(plans[index], slots: slots, scale: scale)
        try new.allocate(on: backend)
        layers[index] = new
    }

    /// Original positions that each KV head sees, ascending: `[layer][kvHead][entry]`.
    var positions: [[[Int]]] {
        layers.indices.map { index in
            var heads = layers[index].positions(seen: seen)
            guard let streaming = streaming[index] else { return heads }
            let numbers = layers[index].plan.heads! + streaming.plan.heads!
            heads += streaming.positions(seen: seen)
            return zip(numbers, heads).sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    var statistics: CacheStatistics {
        CacheStatistics(
            policy: options.policy.specification, tokensSeen: seen,
            layers: layers.indices.map { index in
                let parts = parts(of: index)
                // What a sequence goes on from is counted where it is held.
                let owned = context == nil ? layers[index].frozen : nil
                return CacheStatistics.Layer(
                    rule: plans[index].rule, slots: parts.map(\.slots).max()!, used: parts.map(\.used).max()!,
                    frozen: layers[index].frozen?.layout.counts ?? [], held: held(in: index),
                    evicted: evicted(in: index),
                    plannedBytes: parts.reduce(owned?.plannedBytes ?? 0) { $0 + $1.plannedBytes },
                    allocatedBytes: parts.reduce(owned?.allocatedBytes ?? 0) { $0 + $1.allocatedBytes })
            })
    }
}

extension LayerPlan {
    /// The plans of what follows a text that is held elsewhere.
    fileprivate func parts(following context: FrozenCache) -> (main: LayerPlan, streaming: LayerPlan?) {
        let main = following(context.tokens)
        guard let heads = context.streaming?.heads[geometry.layer], !heads.isEmpty, let rule = context.streaming else {
            return (main, nil)
        }
        let others = (0..<geometry.kvHeads).filter { !heads.contains($0) }
        if others.isEmpty { return (main.streaming(nil, sinks: rule.sinks, recent: rule.recent), nil) }
        return (
            main.restricted(to: others), main.streaming(heads, sinks: rule.sinks, recent: rule.recent)
        )
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

extension LayerCache {
    /// Takes over the entries of a smaller layer whose slots are in the order of their positions.
    func copyEntries(of old: LayerCache, on backend: Backend) throws {
        guard old.used > 0 else { return }
        let count = old.used
        let graph = try Graph(on: backend, capacity: 16)
        graph.schedule(graph.copy(old.firstKeys(count, in: graph), to: firstKeys(count, in: graph)))
        graph.schedule(graph.copy(old.firstValues(count, in: graph), to: firstValues(count, in: graph)))
        try graph.allocate()
        try graph.compute()
        adopt(old)
    }
}
