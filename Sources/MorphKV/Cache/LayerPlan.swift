internal import Ggml

/// What one layer's cache consists of, decided before anything is allocated.
struct LayerPlan: Hashable {
    private(set) var geometry: LayerGeometry
    /// The rule that really applies, the layer's sliding window taken into account.
    private(set) var rule: RetentionRule
    let keyType: CacheType
    let valueType: CacheType
    /// Whether the fused kernel attends to it: values are then rows like keys, else transposed.
    let isFused: Bool
    /// Which of the model's KV heads it is for, ascending; nil if it is for all of them.
    private(set) var heads: [Int]?
    /// First positions that are seen even behind the sliding window.
    private(set) var visibleSinks = 0

    /// - Throws: ``CacheError`` when the policy or the type cannot be honoured.
    init(_ geometry: LayerGeometry, _ options: CacheOptions, on device: Device) throws {
        isFused = try Self.isFused(options, on: device)
        for type in [options.keyType, options.valueType] {
            try Self.check(type, isFused: isFused, dimension: geometry.headDimension)
        }
        if case .chunked(let tokens) = options.prefill, tokens < 1 {
            throw CacheError(.invalidPolicy, "a prompt in parts of \(tokens) tokens: 1 or more is needed")
        }
        self.geometry = geometry
        keyType = options.keyType
        valueType = options.valueType
        rule = try options.policy.rule(for: geometry).limited(to: geometry.slidingWindow)
        if rule.cutsUnevenly || options.policy.compression != nil {
            try Self.checkUnevenCut(options, isFused: isFused)
        }
        switch rule {
        case .everything: break
        case .recent(let slots, let sinks):
            try Self.check(slots, sinks)
            guard slots > sinks, sinks >= 0 else {
                throw CacheError(.invalidPolicy, "\(slots) slots with \(sinks) sinks leave no room for recent tokens")
            }
        case .scored(let scoring):
            try Self.check(scoring.capacity, scoring.window, scoring.sinks)
            try Self.check(scoring.accumulation.formula.rememberedQueries)
            try scoring.validate()
            try Self.check(scoring.slots)
        case .once(let once):
            try Self.check(once.promptCapacity, once.window, once.poolingWidth)
            try once.validate()
        }
    }

    private static func isFused(_ options: CacheOptions, on device: Device) throws -> Bool {
        if options.attention == .fused, !device.usesHostMemory {
            throw CacheError(.attention, "the fused kernel runs on the CPU, not on device \(device.name)")
        }
        return options.attention != .graph && device.usesHostMemory
    }

    private static func checkUnevenCut(_ options: CacheOptions, isFused: Bool) throws {
        let name = type(of: options.policy).descriptor.name
        guard isFused else {
            throw CacheError(
                .attention,
                "\(name) gives heads different numbers of entries, which only the fused kernel can attend to")
        }
        guard options.prefill == .exact else {
            throw CacheError(.invalidPolicy, "\(name) chooses among the whole prompt, so it cannot enter in parts")
        }
    }

    private static func check(_ type: CacheType, isFused: Bool, dimension: Int) throws {
        let usable = isFused ? CacheType.allCases : CacheType.ofGraphs
        guard usable.contains(type) else {
            let names = usable.map(\.rawValue).joined(separator: ", ")
            throw CacheError(.elementType, "keys or values of type \(type) are not possible here: use one of \(names)")
        }
        guard dimension % type.blockLength == 0 else {
            throw CacheError(
                .elementType,
                "heads of \(dimension) numbers are no whole blocks of \(type.blockLength), as \(type) needs")
        }
    }

    /// Positions are stored as 32-bit floats, which count exactly so far; and products of such numbers do not overflow.
    private static let limit = 1 << 24

    private static func check(_ numbers: Int...) throws {
        guard let number = numbers.first(where: { !(-limit...limit).contains($0) }) else { return }
        throw CacheError(.invalidPolicy, "the policy needs \(number) entries per KV head; \(limit) are possible")
    }

    /// Slots per KV head; nil if the layer grows.
    var slots: Int? {
        switch rule {
        case .everything, .once: nil
        case .recent(let slots, _): slots
        case .scored(let scoring): scoring.slots
        }
    }

    /// The same for some of the KV heads.
    func restricted(to heads: [Int]) -> LayerPlan {
        var plan = self
        plan.heads = heads
        plan.geometry = geometry.restricted(to: heads.count, slidingWindow: geometry.slidingWindow)
        return plan
    }

    /// The plan of heads that see the first and the most recent positions only.
    ///
    /// - Parameter heads: nil for all heads.
    func streaming(_ heads: [Int]?, sinks: Int, recent: Int) -> LayerPlan {
        var plan = self
        plan.heads = heads
        plan.geometry = geometry.restricted(to: heads?.count ?? geometry.kvHeads, slidingWindow: recent)
        plan.rule = .recent(slots: recent, sinks: 0)
        plan.visibleSinks = sinks
        return plan
    }

    /// The plan of what follows a text that is held elsewhere.
    ///
    /// - Parameter tokens: how many tokens the text has; they hold the first positions.
    func following(_ tokens: Int) -> LayerPlan {
        guard case .recent(let slots, let sinks) = rule else { return self }
        var plan = self
        plan.rule = .recent(slots: slots, sinks: max(0, sinks - tokens))
        return plan
    }

    var scoring: ScoringRule? {
        if case .scored(let scoring) = rule { scoring } else { nil }
    }
}

extension RetentionRule {
    /// A layer that sees only a sliding window need not hold more than that window.
    func limited(to slidingWindow: Int?) -> RetentionRule {
        guard let slidingWindow else { return self }
        switch self {
        case .everything, .once: return .recent(slots: slidingWindow, sinks: 0)
        case .recent(let slots, _): return .recent(slots: min(slots, slidingWindow), sinks: 0)
        case .scored(let scoring):
            return scoring.capacity >= slidingWindow ? .recent(slots: slidingWindow, sinks: 0) : self
        }
    }
}
