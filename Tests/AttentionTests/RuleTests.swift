import CAttention
import Testing

/// Every rule, for every instruction set and number of threads, against the plain kernel on one thread. What the rules
/// mean is tested through the library, against graphs of ggml's operations and an independent oracle.
@Suite struct RuleTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        var kind = ATTENTION_WINDOW_SUM
        var groupMax = false
        var shares = false
        var fusionMax = false
        var candidates = false
        var slidingWindow = 0

        var testDescription: String {
            "rule \(kind.rawValue) max \(groupMax) shares \(shares) fusion \(fusionMax) candidates \(candidates) "
                + "sliding \(slidingWindow)"
        }
    }

    static let rules: [Rule] = [false, true].flatMap { flag in
        [
            Rule(groupMax: flag), Rule(shares: flag, slidingWindow: 14),
            Rule(kind: ATTENTION_CUMULATIVE, groupMax: flag), Rule(kind: ATTENTION_CUMULATIVE, shares: flag),
            Rule(kind: ATTENTION_PROFILE, groupMax: flag, fusionMax: true),
            Rule(kind: ATTENTION_PROFILE, groupMax: flag, fusionMax: flag, candidates: true, slidingWindow: 15),
            Rule(kind: ATTENTION_PROFILE, groupMax: flag, shares: true, candidates: true),
        ]
    }

    static let window = 5

    @Test("every level and number of threads keeps the same positions and gives the same results", arguments: rules)
    func agree(_ rule: Rule) {
        let reference = run(rule, level: ATTENTION_PLAIN, threads: 1)
        for level in levels {
            for threads in [1, 2, 3, 5] {
                let result = run(rule, level: level, threads: threads)
                #expect(result.positions == reference.positions, "level \(level.rawValue), \(threads) threads")
                let worst = zip(result.outputs, reference.outputs).map { abs($0 - $1) }.max()!
                #expect(worst < 1e-5, "level \(level.rawValue), \(threads) threads")
            }
        }
    }

    /// 60 tokens through 21 slots.
    private func run(_ rule: Rule, level: attention_level, threads: Int) -> (positions: [Float], outputs: [Float]) {
        let shape = KernelCase.Shape(
            keyType: ATTENTION_F32, valueType: ATTENTION_F32, dimension: 24, group: 3, heads: 3, slots: 21, used: 0)
        let test = KernelCase(shape)
        let slots = shape.heads * shape.slots
        test.cache.slots.positions = test.zeros(slots, filledWith: -1)
        test.cache.sliding_window = Int32(rule.slidingWindow)
        test.cache.score.rule = rule.kind
        test.cache.score.window = Int32(Self.window)
        test.cache.score.sinks = 2
        test.cache.score.group_reduction = rule.groupMax ? ATTENTION_MAX : ATTENTION_SUM
        test.cache.score.shares_choice = rule.shares
        let queries = Int32(Self.window), queryHeads = Self.window * shape.heads * shape.group
        switch rule.kind {
        case ATTENTION_WINDOW_SUM:
            test.cache.score.window_sum = attention_window_sum(
                query_count: queries, fresh: test.zeros(slots), expiring: test.zeros(slots),
                queries: test.zeros(queryHeads * shape.dimension),
                normalizers: test.zeros(queryHeads, filledWith: 1e30))
        case ATTENTION_CUMULATIVE:
            test.cache.score.cumulative = attention_cumulative(decay: 0.9, scores: test.zeros(slots))
        default:
            let rows = rule.candidates && rule.groupMax ? shape.group : 1
            test.cache.score.profile = attention_profile(
                query_count: queries,
                scores: test.zeros(Self.window * slots * rows, filledWith: rule.candidates ? -1e30 : 0),
                rows_per_head: Int32(rows), fusion: rule.fusionMax ? ATTENTION_MAX : ATTENTION_SUM,
                candidates_only: rule.candidates)
        }
        var outputs: [Float] = []
        var since = 0
        for position in 0..<60 {
            outputs += test.run(
                queries: test.floats(shape.heads * shape.group * shape.dimension).map { $0 * 10 },
                newKeys: test.floats(shape.heads * shape.dimension),
                newValues: test.floats(shape.heads * shape.dimension), position: position,
                used: min(position, shape.slots), phase: since, level: level, threads: threads)
            since = since % Self.window + 1
        }
        return ((0..<slots).map { test.cache.slots.positions[$0] }, outputs)
    }
}
