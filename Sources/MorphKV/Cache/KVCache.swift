internal import Ggml

/// What an attention backend has bound to a cache's memory.
protocol CacheAttachment: AnyObject {
    /// Bytes of intermediate results held.
    var allocatedBytes: Int { get }
    /// Operations of a step.
    var operationCount: Int { get }
}

/// The caches of all layers of one sequence.
final class KVCache {
    /// By how many slots a growing layer grows.
    static let growth = 256
    /// Tokens that a sequence may have: up to there positions, which are stored as 32-bit floats, count exactly.
    static let longestSequence = 1 << 24

    let options: CacheOptions
    /// For each layer of the model one cache for all of its heads, or several where heads have different numbers of slots
    /// or, after a context, only some of them stream.
    private(set) var parts: [[LayerCache]]
    /// What the blocks without attention remember; nil for models that have none.
    let recurrent: RecurrentState?
    /// What the sequence goes on from, which others may share; nil if it begins with nothing.
    let context: FrozenCache?
    /// For each layer the formula that wants features of tokens; empty if none does anywhere. Layers where none does have
    /// the first one's, so that sequences which differ only in where it applies share their steps.
    let featureSources: [FeatureSource]
    /// A graph that an attention backend has bound to this cache's memory; it is released with the cache.
    var attachment: (any CacheAttachment)?
    /// What keeps the positions of keys close together; nil if nothing does.
    let floor: PositionFloor?
    let backend: Backend
    private let scale: Float
    /// Tokens of the sequence so far: the position of the next one.
    private(set) var seen = 0
    /// Where rotated positions are counted from, and what old entries were moved up to.
    private(set) var frame = RotaryFrame()
    /// Positions that are never evicted; see ``pin(_:)``.
    private(set) var pins = PinnedPositions()
    /// The same as the fused kernel reads them.
    private(set) var kernelPins = KernelPins(PinnedPositions())

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
        parts = try Self.plans(for: description, options, on: backend.placement, following: context).map { plans in
            try plans.map {
                try LayerCache($0, slots: $0.slots ?? Self.rounded(reserve), scale: description.attentionScale)
            }
        }
        recurrent = try RecurrentState(description)
        floor = parts.joined().lazy.compactMap(\.plan.floor).first
        let wanted = parts.map { $0.lazy.compactMap { $0.plan.scoring?.featureSource }.first }
        let first = wanted.lazy.compactMap(\.self).first
        featureSources = wanted.compactMap { $0 ?? first }
        for (index, parts) in parts.enumerated() {
            for part in parts { try part.allocate(on: backend.at(index)) }
        }
        try recurrent?.allocate(on: backend)
        clear()
    }

    /// One cache per layer of the model: the first of its parts.
    var layers: [LayerCache] { parts.map { $0[0] } }

    /// Whether the fused kernel attends to the cache.
    var isFused: Bool { parts[0][0].plan.isFused }

    /// Whether entries are seen besides those in the slots, so that prompts enter token by token.
    var hasFrozenEntries: Bool { parts.contains { $0[0].frozen != nil } }

    /// Whether heads of a layer may hold different numbers of entries, so that a prompt on top of them enters token by
    /// token.
    var hasParts: Bool { parts.contains { $0.count > 1 } }

    /// Whether prompts enter token by token because keys stand in two frames.
    var hasPlaces: Bool { frame.floor > 0 && parts.joined().contains { $0.places != nil } }

    /// Whether several tokens may not enter at once, because a rule drops many entries between two of them.
    var isBursty: Bool { parts.joined().contains { $0.plan.scoring?.isBursty == true } }

    // MARK: Transitions

    /// Gives growing layers room for that many more tokens, one layer after the other.
    ///
    /// - Parameter isFirstPrompt: whether a rule that chooses once cuts them; then it needs room for what it keeps only.
    func grow(by tokens: Int, isFirstPrompt: Bool = false) throws {
        for index in parts.indices where parts[index][0].plan.slots == nil {
            let old = parts[index][0]
            var needed = old.used + tokens
            if isFirstPrompt, case .once(let rule) = old.plan.rule {
                needed = rule.slots(for: needed, in: old.plan.geometry)
            }
            guard needed > old.slots else { continue }
            try replace(index, slots: Self.rounded(needed))
            try backend.pause?()
        }
    }

    /// Gives growing layers at least as many slots as another cache's have.
    func widen(like other: KVCache) throws {
        for index in parts.indices where parts[index][0].plan.slots == nil {
            let (slots, old) = (other.parts[index][0].slots, parts[index][0])
            if slots > old.slots { try replace(index, slots: slots) }
        }
    }

    private func replace(_ index: Int, slots: Int) throws {
        let old = parts[index][0]
        let new = try LayerCache(old.plan, slots: slots, scale: scale)
        try new.allocate(on: backend.at(index))
        if old.frozen != nil { new.follow(old.frozen, next: old.origin) }
        try new.copyEntries(of: old, on: backend.at(index))
        parts[index][0] = new
    }

    /// Makes room in layers whose rule drops many entries at a time.
    func evictBursts() {
        for part in parts.joined() { part.evictBurst(seen: seen) }
    }

    /// Notes that tokens were decoded.
    func admit(_ tokens: Int) {
        seen += tokens
        for part in parts.joined() { part.admit(tokens) }
    }

    /// Notes that the next tokens belong to the sequence's first prompt.
    func extendPrompt(by tokens: Int) {
        for part in parts.joined() { part.endPrompt(at: seen + tokens) }
    }

    /// Notes that a prompt was read, of which every layer holds by now what its rule left.
    func admitPrompt(_ tokens: Int) { seen += tokens }

    /// Goes on from a number of tokens that was saved; the layers are restored by themselves.
    func restore(seen: Int, frame: RotaryFrame) {
        self.seen = seen
        self.frame = frame
    }

    /// Notes that keys were moved.
    func move(to frame: RotaryFrame) { self.frame = frame }

    /// Lets positions be pinned in place of those that were.
    func setPins(_ pins: PinnedPositions) {
        self.pins = pins
        kernelPins = KernelPins(pins)
        for part in parts.joined() { part.setPins(pins) }
    }

    /// Forgets the whole sequence, except what it goes on from.
    func clear() {
        if !pins.isEmpty { setPins(PinnedPositions()) }
        seen = context?.tokens ?? 0
        frame = RotaryFrame()
        if let copy = context?.recurrent { recurrent?.restore(copy) } else { recurrent?.clear() }
        for index in parts.indices {
            for part in parts[index] {
                if part.frozen != nil || context != nil {
                    part.follow(context?.layers[index], next: seen)
                } else {
                    part.clear()
                }
            }
        }
    }

    /// Replaces the slots of a layer that grows by so many empty ones.
    func empty(_ index: Int, slots: Int = KVCache.growth) throws {
        let new = try LayerCache(parts[index][0].plan, slots: slots, scale: scale)
        try new.allocate(on: backend.at(index))
        parts[index][0] = new
        try backend.pause?()
    }

    /// Makes every layer look as full as it can get, for measuring what the largest steps need.
    ///
    /// - Parameter room: slots that stay free in layers that grow.
    func pretendFull(leaving room: Int) {
        let growing = layers.filter { $0.plan.slots == nil }.map { max(0, $0.slots - room) }
        let tokens = growing.min() ?? parts.joined().map(\.slots).max() ?? 0
        for part in parts.joined() { part.pretendFilled(tokens) }
        seen = (context?.tokens ?? 0) + tokens
    }

    // MARK: What it holds

    /// The limit of the distances that are seen, if frozen entries are moved to keep it: they never turn, queries do.
    var frozenLimit: Int? { context == nil ? nil : floor?.limit }

    /// Bytes of tables that its policy needs and all sequences of the model share.
    var sharedBytes: Int { parts.joined().map(\.plan.sharedBytes).max() ?? 0 }

    /// Original positions that each KV head sees, ascending: `[layer][kvHead][entry]`.
    var positions: [[[Int]]] {
        parts.map { layer in
            let heads = layer.flatMap { $0.positions(seen: seen) }
            let numbers = layer.flatMap { $0.plan.heads ?? Array(heads.indices) }
            return zip(numbers, heads).sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Bytes of entries of the sequence's own, with their copy on the device where graphs attend.
    private func plannedBytes(_ frozen: FrozenLayer, of index: Int) -> Int {
        // Describing a few tensors takes no memory of theirs.
        let device = backend.at(index).device
        return frozen.plannedBytes + (isFused ? 0 : (try? FrozenBuckets.bytes(of: frozen.layout, on: device)) ?? 0)
    }

    var statistics: CacheStatistics {
        CacheStatistics(
            policy: options.policy.specification, tokensSeen: seen, pinned: pins.count(in: 0..<seen),
            layers: parts.enumerated().map { index, layer in
                // What a sequence goes on from is counted where it is held.
                let owned = context == nil ? layer[0].frozen : nil
                return CacheStatistics.Layer(
                    rule: layer[0].plan.rule, headSlots: LayerPlan.perHead(layer.map { ($0.plan, $0.slots) }),
                    used: layer.map(\.used).max()!,
                    frozen: layer[0].frozen?.layout.counts ?? [], held: held(by: layer), evicted: evicted(by: layer),
                    plannedBytes: layer.reduce(owned.map { plannedBytes($0, of: index) } ?? 0) { $0 + $1.plannedBytes },
                    allocatedBytes: layer.reduce((owned?.allocatedBytes ?? 0) + (owned?.copiedBytes ?? 0)) {
                        $0 + $1.allocatedBytes
                    })
            }, plannedRecurrentBytes: recurrent?.plannedBytes ?? 0,
            recurrentBytes: recurrent?.allocatedBytes ?? 0)
    }
}

extension LayerCache {
    /// Takes over the entries of a smaller layer whose slots are in the order of their positions.
    fileprivate func copyEntries(of old: LayerCache, on backend: Backend) throws {
        guard old.used > 0 else { return }
        let count = old.used
        let graph = try Graph(on: backend, capacity: 16)
        graph.schedule(graph.copy(old.firstKeys(count, in: graph), to: firstKeys(count, in: graph)))
        graph.schedule(graph.copy(old.firstValues(count, in: graph), to: firstValues(count, in: graph)))
        try graph.allocate()
        try graph.compute()
        restore(used: count, chosen: old.chosen)
    }
}
