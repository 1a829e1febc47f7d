internal import Ggml

/// What one layer's cache consists of, decided before anything is allocated.
struct LayerPlan: Hashable {
    let geometry: LayerGeometry
    /// The rule that really applies, the layer's sliding window taken into account.
    let rule: RetentionRule
    let keyType: ElementType
    let valueType: ElementType
    /// Whether the fused kernel attends to it: values are then rows like keys, else transposed.
    let isFused: Bool

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
        switch rule {
        case .everything: break
        case .recent(let slots, let sinks):
            try Self.check(slots, sinks)
            guard slots > sinks, sinks >= 0 else {
                throw CacheError(.invalidPolicy, "\(slots) slots with \(sinks) sinks leave no room for recent tokens")
            }
        case .scored(let scoring):
            try Self.check(scoring.capacity, scoring.window, scoring.sinks)
            switch scoring.accumulation {
            case .windowSum(let queries), .profile(let queries, _, _): try Self.check(queries)
            case .cumulative: break
            }
            try scoring.validate()
            try Self.check(scoring.slots)
        case .once(let once):
            try Self.check(once.promptCapacity, once.window, once.kernel)
            try once.validate()
        }
    }

    private static func isFused(_ options: CacheOptions, on device: Device) throws -> Bool {
        if options.attention == .fused, !device.usesHostMemory {
            throw CacheError(.attention, "the fused kernel runs on the CPU, not on device \(device.name)")
        }
        return options.attention != .graph && device.usesHostMemory
    }

    private static func check(_ type: ElementType, isFused: Bool, dimension: Int) throws {
        let usable: [ElementType] = isFused ? [.f32, .f16, .bf16, .q8_0] : [.f32, .f16]
        guard usable.contains(type) else {
            let names = usable.map(\.description).joined(separator: ", ")
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
