internal import Ggml

/// What one layer's cache consists of, decided before anything is allocated.
struct LayerPlan: Hashable {
    private(set) var geometry: LayerGeometry
    /// The rule that really applies, the layer's sliding window taken into account.
    private(set) var rule: RetentionRule
    let keyType: CacheType
    let valueType: CacheType
    /// Whether the fused kernel attends to it.
    let isFused: Bool
    /// Whether values are rows like keys, as the fused kernel and flash attention read them; else they are transposed, so
    /// that weights times values needs no copy.
    let storesRows: Bool
    /// Whether a tensor says which slots hold pins: graphs need it, the kernel compares positions.
    let marksPins: Bool
    /// Which of the model's KV heads it is for, ascending; nil if it is for all of them.
    private(set) var heads: [Int]?
    /// KV heads of the model.
    let modelHeads: Int
    /// First positions that are seen even behind the sliding window.
    private(set) var visibleSinks = 0
    /// Keeps the positions of keys close together; nil if they stay what they were.
    private(set) var floor: PositionFloor?
    /// How queries are turned for keys that were moved to a frame of their own; nil if keys are turned where they are.
    private(set) var queryTurn: QueryTurn?

    /// The plans of a layer's heads: one, or several where rules differ between heads.
    ///
    /// - Throws: ``CacheError`` when the policy or the type cannot be honoured.
    static func plans(_ geometry: LayerGeometry, _ options: CacheOptions, on device: Device) throws -> [LayerPlan] {
        let window = geometry.slidingWindow
        let rules = try options.policy.rules(for: geometry).map { $0.limited(to: window) }
            .map { options.pins ? $0.withPins(slidingWindow: window) : $0 }
        guard rules.count == geometry.kvHeads else {
            throw CacheError(
                .invalidPolicy, "the policy has \(rules.count) rules for the \(geometry.kvHeads) KV heads of a layer")
        }
        if Set(rules).count == 1 { return [try LayerPlan(geometry, rules[0], options, on: device)] }
        var heads: [RetentionRule: [Int]] = [:]
        for (head, rule) in rules.enumerated() { heads[rule, default: []].append(head) }
        let plans = try heads.map { rule, heads in
            try rule.checkDiffersBetweenHeads()
            return try LayerPlan(geometry, rule, options, on: device).restricted(to: heads)
        }
        return plans.sorted { $0.heads![0] < $1.heads![0] }
    }

    private init(_ geometry: LayerGeometry, _ rule: RetentionRule, _ options: CacheOptions, on device: Device) throws {
        isFused = try Self.isFused(options, on: device)
        marksPins = options.pins && !isFused
        for type in [options.keyType, options.valueType] {
            try Self.check(type, dimension: geometry.headDimension)
        }
        storesRows = try isFused || Self.storesRows(geometry, rule, options, on: device)
        if case .chunked(let tokens) = options.prefill, tokens < 1 {
            throw CacheError(.invalidPolicy, "a prompt in parts of \(tokens) tokens: 1 or more is needed")
        }
        self.geometry = geometry
        self.rule = rule
        modelHeads = geometry.kvHeads
        keyType = options.keyType
        valueType = options.valueType
        if rule.cutsUnevenly || options.policy.compression != nil {
            try Self.checkUnevenCut(options)
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
        return options.isFused(on: DevicePlacement(device))
    }

    private static func checkUnevenCut(_ options: CacheOptions) throws {
        let name = type(of: options.policy).descriptor.name
        guard options.prefill == .exact else {
            throw CacheError(.invalidPolicy, "\(name) chooses among the whole prompt, so it cannot enter in parts")
        }
    }

    /// Where flash attention does for a rule that needs no weights, or is needed for values in blocks.
    ///
    /// - Throws: ``CacheError`` of kind `elementType` when the device cannot attend to such keys and values.
    private static func storesRows(
        _ geometry: LayerGeometry, _ rule: RetentionRule, _ options: CacheOptions, on device: Device
    ) throws -> Bool {
        let (keys, values) = (options.keyType, options.valueType)
        let canFlash = device.canFlashAttend(geometry, keys, values)
        if CacheType.ofGraphs.contains(keys), CacheType.ofGraphs.contains(values) {
            return canFlash && !rule.needsWeights
        }
        guard canFlash, device.canHoldRows(of: keys.elementType), device.canHoldRows(of: values.elementType) else {
            let names = CacheType.allCases.filter { $0.isForGraphs(geometry, on: device) }.map(\.rawValue)
            throw CacheError(
                .elementType,
                "device \(device.name) cannot attend by graph to \(keys) keys and \(values) values in heads of "
                    + "\(geometry.headDimension): use \(names.joined(separator: ", "))")
        }
        return true
    }

    private static func check(_ type: CacheType, dimension: Int) throws {
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

    /// A number for each of the model's KV heads, from those of a layer's parts.
    static func perHead(_ parts: [(plan: LayerPlan, number: Int)]) -> [Int] {
        var numbers = Array(repeating: 0, count: parts[0].plan.modelHeads)
        for part in parts {
            for head in part.plan.heads ?? Array(numbers.indices) { numbers[head] = part.number }
        }
        return numbers
    }

    /// The same for the heads of so many sequences, behind each other.
    func repeated(_ sequences: Int) -> LayerPlan {
        var plan = self
        plan.geometry = geometry.restricted(to: geometry.kvHeads * sequences, slidingWindow: geometry.slidingWindow)
        return plan
    }

    /// The same for some of the model's KV heads.
    func restricted(to heads: [Int]) -> LayerPlan {
        var plan = self
        plan.heads = heads
        plan.geometry = geometry.restricted(to: heads.count, slidingWindow: geometry.slidingWindow)
        return plan
    }

    /// Whether keys that are moved stand in a frame of their own: those in blocks lose too much each time they are turned.
    /// The kernel turns queries for them; rules that compare keys need all in one frame.
    var movesPlaces: Bool {
        isFused && keyType.blockLength > 1 && scoring?.accumulation.formula.needs.contains(.keys) != true
    }

    /// The same with keys that are moved, unless the layer sees no farther than that anyway.
    ///
    /// - Parameter rope: how positions rotate keys; nil if they do not.
    func moving(_ floor: PositionFloor, _ rope: RopeParameters?) -> LayerPlan {
        var plan = self
        plan.floor = geometry.sees(beyond: floor.limit) ? floor : nil
        plan.queryTurn = plan.floor == nil || !movesPlaces ? nil : rope.map(QueryTurn.init)
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

    /// Bytes of tables that its rule needs and all sequences of the model share.
    var sharedBytes: Int { scoring?.accumulation.formula.sharedBytes ?? 0 }

    var scoring: ScoringRule? {
        if case .scored(let scoring) = rule { scoring } else { nil }
    }
}

extension Device {
    fileprivate func canFlashAttend(_ geometry: LayerGeometry, _ keys: CacheType, _ values: CacheType) -> Bool {
        canFlashAttend(
            dimension: geometry.headDimension, queryHeads: geometry.queryHeads, kvHeads: geometry.kvHeads,
            keys: keys.elementType, values: values.elementType)
    }
}

extension CacheType {
    /// Whether graphs on a device can do all that caches with keys and values of the type need.
    fileprivate func isForGraphs(_ geometry: LayerGeometry, on device: Device) -> Bool {
        if Self.ofGraphs.contains(self) { return true }
        return geometry.headDimension % blockLength == 0 && device.canFlashAttend(geometry, self, self)
            && device.canHoldRows(of: elementType)
    }
}

extension RetentionRule {
    /// Whether something is made of the attention weights of the tokens that are decoded.
    var needsWeights: Bool {
        if case .scored(let scoring) = self { scoring.accumulation.formula.needs.contains(.weights) } else { false }
    }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` if the rule must be the same for all heads of a layer.
    fileprivate func checkDiffersBetweenHeads() throws {
        switch self {
        case .everything, .once: break
        case .recent: return
        case .scored(let scoring):
            if scoring.accumulation.formula.rememberedQueries == 0, !scoring.sharesChoice { return }
        }
        throw CacheError(
            .invalidPolicy,
            "heads of a layer cannot differ under a rule that remembers queries, chooses for all heads, or grows; "
                + "layers can (budgets=layer)")
    }

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
