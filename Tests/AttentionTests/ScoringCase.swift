import CAttention
import TestSupport
import Testing

/// A rule, what it is applied to, and a sequence of tokens; drawn by a seed.
struct ScoringCase: Sendable, CustomTestStringConvertible {
    enum Formula: Sendable {
        case windowSum(queries: Int)
        case cumulative(decay: Float)
        case profile(queries: Int, fusionMax: Bool, candidates: Bool)
        case keyDiff
        case recency
        case random(seed: UInt32)
        /// With a lambda of 0 what an entry receives is not kept.
        case foresight(ages: [Int], lambda: Float)
        case custom(Custom)
    }

    /// A formula that another target has.
    struct Custom: Sendable {
        /// Features per token and head.
        var features = 0
        /// Makes the rule's memory.
        let rule: @Sendable (KernelCase) -> attention_custom
        /// An entry's score for the token at a position, from the reduced weights that each query gave it.
        let score:
            @Sendable (
                _ entry: ReferenceRule.Entry, _ given: [(query: Int, weight: Double)], _ position: Int
            ) -> Double
    }

    var formula: Formula
    var groupMax: Bool
    var sharesChoice: Bool
    var window: Int
    var sinks: Int
    /// Entries before `promptEnd` that a head is sure to keep; 0 for none.
    var promptFloor: Int
    var promptEnd: Int
    /// Positions that are never evicted, ascending, apart from each other.
    var pins: [Range<Int>] = []
    /// 0 for none.
    var slidingWindow: Int
    var visibleSinks: Int
    /// Whether many slots are emptied at a time now and then.
    var isBursty: Bool
    var shape: KernelCase.Shape
    let seed: UInt64

    /// A third of the cases has sinks.
    var sinkTerms: [Float] { seed % 3 == 1 ? KernelCase.sinks(shape) : [] }

    /// Which formula: one after the other, so that none is missing; all else is drawn.
    init(seed: UInt64) {
        var random = SeededNumbers(seed)
        self.seed = seed
        let queries = Int.random(in: 1...7, using: &random)
        switch seed % 7 {
        case 0: formula = .windowSum(queries: queries)
        case 1: formula = .cumulative(decay: [0, 0.5, 0.9, 1].randomElement(using: &random)!)
        case 2: formula = .keyDiff
        case 3: formula = seed % 14 == 3 ? .recency : .random(seed: .random(in: 0 ... .max, using: &random))
        case 6:
            formula = .foresight(
                ages: [[1], [1, 4, 9], [2, 3, 5, 8, 13]].randomElement(using: &random)!,
                lambda: [0, 0.05, 2].randomElement(using: &random)!)
        default:
            formula = .profile(
                queries: queries, fusionMax: .random(using: &random), candidates: seed % 7 == 5)
        }
        groupMax = .random(using: &random)
        sharesChoice = Int.random(in: 0..<3, using: &random) == 0
        let slots = Int.random(in: 4...27, using: &random)
        window = Int.random(in: 0...min(6, slots - 3), using: &random)
        sinks = Int.random(in: 0...2, using: &random)
        promptFloor = Bool.random(using: &random) ? Int.random(in: 0..<slots - window - sinks, using: &random) : 0
        promptEnd = Int.random(in: 0...slots + 12, using: &random)
        slidingWindow =
            Int.random(in: 0..<3, using: &random) == 0 ? Int.random(in: 3...40, using: &random) : 0
        visibleSinks = slidingWindow > 0 && Bool.random(using: &random) ? 2 : 0
        isBursty = Int.random(in: 0..<4, using: &random) == 0
        let heads = Int.random(in: 1...3, using: &random)
        let types = [ATTENTION_F32, ATTENTION_F16, ATTENTION_BF16, ATTENTION_Q8_0]
        let hasFrozen = Int.random(in: 0..<4, using: &random) == 0
        shape = KernelCase.Shape(
            keyType: types.randomElement(using: &random)!,
            valueType: types.randomElement(using: &random)!,
            dimension: 32, group: .random(in: 1...4, using: &random), heads: heads,
            slots: slots, used: 0,
            frozen: hasFrozen ? (0..<heads).map { _ in .random(in: 0...20, using: &random) } : [])
        promptEnd += origin
        if shape.keyType != ATTENTION_Q8_0, shape.valueType != ATTENTION_Q8_0 {
            shape.dimension = [16, 20, 36].randomElement(using: &random)!
        }
        drawPins(from: &random)
    }

    /// Up to three ranges, in half of the cases; the first may begin with the first slot's position.
    private mutating func drawPins(from random: inout SeededNumbers) {
        guard Bool.random(using: &random) else { return }
        var (room, next) = (shape.slots - window - sinks - 1, origin)
        for _ in 0..<3 {
            next += Int.random(in: 0...9, using: &random)
            let count = Int.random(in: 0...max(0, room), using: &random)
            if count > 0 { pins.append(next..<next + count) }
            (room, next) = (room - count, next + count + 1)
        }
    }

    var testDescription: String {
        "seed \(seed): \(name), group max \(groupMax), shares \(sharesChoice), window \(window), sinks \(sinks), "
            + "prompt \(promptFloor) before \(promptEnd), pins \(pins), "
            + "sinks \(!sinkTerms.isEmpty), sliding \(slidingWindow)+\(visibleSinks), bursts \(isBursty), \(shape.testDescription)"
    }

    private var name: String {
        if case .custom(let rule) = formula {
            "custom with \(rule.features) features"
        } else {
            "\(formula)"
        }
    }

    /// Rows of the ring that remembers queries; 1 where there is none.
    var queries: Int {
        switch formula {
        case .windowSum(let queries), .profile(let queries, _, _): queries
        case .cumulative, .keyDiff, .recency, .random, .foresight, .custom: 1
        }
    }

    /// Features per token and head.
    var features: Int {
        switch formula {
        case .custom(let rule): rule.features
        case .foresight(let ages, _): ages.count
        default: 0
        }
    }

    /// The first position that goes to the slots.
    var origin: Int { shape.frozen.max() ?? 0 }

    /// Fresh memory for the rule; the slots are empty.
    func kernelCase() -> KernelCase {
        let test = KernelCase(shape, seed: seed)
        test.sinks = sinkTerms
        let rows = shape.heads * shape.slots
        test.cache.slots.positions = test.zeros(rows, filledWith: -1)
        test.cache.slots.has_gaps = isBursty
        test.cache.slots.origin = Int64(origin)
        test.cache.sliding_window = Int32(slidingWindow)
        test.cache.visible_sinks = Int32(visibleSinks)
        (test.cache.score.window, test.cache.score.sinks) = (Int32(window), Int32(sinks))
        test.cache.score.prompt_floor = Int32(promptFloor)
        test.cache.score.group_reduction = groupMax ? ATTENTION_MAX : ATTENTION_SUM
        test.cache.score.shares_choice = sharesChoice
        switch formula {
        case .windowSum(let queries):
            let queryHeads = queries * shape.heads * shape.group
            test.cache.score.rule = ATTENTION_WINDOW_SUM
            test.cache.score.window_sum = attention_window_sum(
                query_count: Int32(queries), fresh: test.zeros(rows), expiring: test.zeros(rows),
                queries: test.zeros(queryHeads * shape.dimension),
                normalizers: test.zeros(queryHeads, filledWith: 1e30))
        case .cumulative(let decay):
            test.cache.score.rule = ATTENTION_CUMULATIVE
            test.cache.score.cumulative = attention_cumulative(decay: decay, scores: test.zeros(rows))
        case .profile(let queries, let fusionMax, let candidates):
            let parts = candidates && groupMax ? shape.group : 1
            test.cache.score.rule = ATTENTION_PROFILE
            test.cache.score.profile = attention_profile(
                query_count: Int32(queries),
                scores: test.zeros(queries * rows * parts, filledWith: candidates ? -1e30 : 0),
                rows_per_head: Int32(parts), fusion: fusionMax ? ATTENTION_MAX : ATTENTION_SUM,
                candidates_only: candidates)
        case .keyDiff:
            let padded = attention_padded(test.cache.slots.dimension)
            test.cache.score.rule = ATTENTION_KEYDIFF
            test.cache.score.keydiff = attention_keydiff(
                means: test.zeros(shape.heads * Int(padded), filledWith: .nan), padded: padded)
        case .recency:
            test.cache.score.useFixed(test.zeros(rows), seed: nil)
        case .random(let seed):
            test.cache.score.useFixed(test.zeros(rows), seed: seed)
        case .foresight(let ages, let lambda):
            test.cache.score.rule = ATTENTION_FORESIGHT
            test.cache.score.foresight = attention_foresight(ages, lambda: lambda, rows: rows, in: test)
        case .custom(let rule):
            test.cache.score.rule = ATTENTION_CUSTOM
            test.cache.score.custom = rule.rule(test)
        }
        return test
    }
}

extension attention_foresight {
    /// Fresh memory for so many ages.
    fileprivate init(_ ages: [Int], lambda: Float, rows: Int, in test: KernelCase) {
        self.init()
        age_count = Int32(ages.count)
        withUnsafeMutableBytes(of: &self.ages) { memory in
            ages.map(Int32.init).withUnsafeBytes { memory.copyMemory(from: $0) }
        }
        (self.lambda, decay) = (lambda, 0.95)
        codes = UnsafeMutableRawPointer(test.zeros(ages.count * rows)).assumingMemoryBound(to: Int8.self)
        received = lambda > 0 ? test.zeros(rows) : nil
    }
}

extension attention_score {
    /// Scores that stay: random with a seed, else the position.
    fileprivate mutating func useFixed(_ scores: UnsafeMutablePointer<Float>, seed: UInt32?) {
        rule = ATTENTION_FIXED
        fixed = attention_fixed(scores: scores, is_random: seed != nil, seed: seed ?? 0)
    }
}
