internal import Ggml

/// The caches of all layers of one sequence.
final class KVCache {
    /// By how many slots a growing layer grows.
    static let growth = 256

    let options: CacheOptions
    let plans: [LayerPlan]
    private(set) var layers: [LayerCache]
    private let backend: Backend
    private let scale: Float
    /// Tokens of the sequence so far: the position of the next one.
    var seen = 0

    /// Decides what every layer keeps, and allocates it.
    ///
    /// - Parameter reserve: tokens that a growing cache has room for at once.
    /// - Throws: ``CacheError`` when the policy cannot be honoured in some layer, `GgmlError` when memory is short.
    init(_ description: DecoderDescription, _ options: CacheOptions, on backend: Backend, reserve: Int) throws {
        self.options = options
        self.backend = backend
        scale = description.attentionScale
        plans = try Self.plans(for: description, options, on: backend.device)
        layers = try plans.map {
            try LayerCache($0, slots: $0.slots ?? Self.rounded(reserve), scale: description.attentionScale)
        }
        for layer in layers { try layer.allocate(on: backend) }
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

    static func rounded(_ tokens: Int) -> Int {
        // More slots cannot be numbered, and no memory holds them.
        max(1, (min(tokens, Int(Int32.max)) + growth - 1) / growth) * growth
    }

    /// Gives growing layers room for that many more tokens, one layer after the other.
    ///
    /// - Parameter isFirstPrompt: whether a rule that chooses once cuts them; then it needs room for what it keeps only.
    func grow(by tokens: Int, isFirstPrompt: Bool = false) throws {
        for index in layers.indices where plans[index].slots == nil {
            let old = layers[index]
            var needed = old.used + tokens
            if isFirstPrompt, case .once(let rule) = plans[index].rule {
                needed = rule.kept(of: needed, in: plans[index].geometry)
            }
            guard needed > old.slots else { continue }
            let new = try LayerCache(plans[index], slots: Self.rounded(needed), scale: scale)
            try new.allocate(on: backend)
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

    /// Notes that tokens were decoded.
    func advance(by tokens: Int) {
        seen += tokens
        for layer in layers { layer.advance(by: tokens) }
    }

    /// Forgets the whole sequence.
    func clear() {
        seen = 0
        for layer in layers { layer.clear() }
    }

    /// Original positions held, ascending: `[layer][kvHead][entry]`.
    var positions: [[[Int]]] {
        layers.map { layer in layer.entries(seen: seen).map { $0.map(\.position) } }
    }

    var statistics: CacheStatistics {
        CacheStatistics(
            policy: options.policy.specification, tokensSeen: seen,
            layers: zip(plans, layers).map { plan, layer in
                CacheStatistics.Layer(
                    rule: plan.rule, slots: layer.slots, used: layer.used, evicted: seen - layer.used,
                    plannedBytes: layer.plannedBytes, allocatedBytes: layer.allocatedBytes)
            })
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
