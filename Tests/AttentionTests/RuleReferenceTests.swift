import CAttention
import Testing

/// Every rule against its definition, step by step: which entry goes, what attention gives, and what the rule remembers.
///
/// The reference follows the kernel where two scores are equal but for rounding.
@Suite struct RuleReferenceTests {
    static let cases = (0..<168).map { ScoringCase(seed: $0) }

    @Test(
        "every rule does what its definition says, whatever the instructions and threads",
        arguments: cases)
    func followsDefinition(_ test: ScoringCase) {
        for level in levels {
            let threads = Int(test.seed / 7 % 3) + 1
            let diary = RuleDiary(test, level: level, threads: threads)
            diary.follow(tokens: test.shape.slots + 25)
            #expect(diary.complaints == [], "level \(level.rawValue), \(threads) threads")
        }
    }

    @Test("of equal scores the highest position outside the window goes")
    func ties() {
        for seed in 0..<12 {
            var test = ScoringCase(seed: UInt64(seed))
            // One query remembered, and queries of zeros: every weight is the same.
            switch test.formula {
            case .windowSum: test.formula = .windowSum(queries: 1)
            case .cumulative: test.formula = .cumulative(decay: 0)
            case .profile(_, let fusionMax, let candidates):
                test.formula = .profile(queries: 1, fusionMax: fusionMax, candidates: candidates)
            case .keyDiff, .recency, .random, .foresight, .custom: continue
            }
            (test.window, test.sinks, test.slidingWindow, test.isBursty, test.shape.frozen) = (
                1, 0, 0, false, []
            )
            (test.promptFloor, test.pins) = (0, [])
            for level in levels {
                let diary = RuleDiary(test, level: level, threads: 1)
                diary.queryScale = 0
                diary.follow(tokens: test.shape.slots + 3)
                let last = Float(test.shape.slots + 2)
                let kept = Set(diary.kernel.positions(0))
                #expect(
                    kept == Set((0..<test.shape.slots - 2).map(Float.init) + [last - 1, last]), "\(test)")
            }
        }
    }

    @Test(
        "several tokens at a time give what they give one after the other",
        arguments: cases.filter { !$0.isBursty })
    func columns(_ test: ScoringCase) {
        for (level, threads) in [(ATTENTION_PLAIN, 1), (attention_best_level(), 2)] {
            let together = run(test, columns: 5, level: level, threads: threads)
            let apart = run(test, columns: 1, level: level, threads: threads)
            #expect(together.outputs == apart.outputs)
            #expect(together.positions == apart.positions)
        }
    }

    private func run(
        _ test: ScoringCase, columns: Int, level: attention_level, threads: Int
    ) -> (outputs: [Float], positions: [[Float]]) {
        let (kernel, shape) = (test.kernelCase(), test.shape)
        let tokens = (shape.slots + 24) / 5 * 5
        let rows = tokens * shape.heads
        let queries = kernel.floats(rows * shape.group * shape.dimension)
        let (keys, values) = (
            kernel.floats(rows * shape.dimension), kernel.floats(rows * shape.dimension)
        )
        let features = kernel.floats(shape.heads * tokens * test.features).map { ($0 * 9).rounded() * 14 }
        func part(_ all: [Float], _ token: Int) -> [Float] {
            let size = all.count / tokens
            return Array(all[token * size..<(token + columns) * size])
        }
        var outputs: [Float] = []
        for token in stride(from: 0, to: tokens, by: columns) {
            outputs += kernel.run(
                queries: part(queries, token), newKeys: part(keys, token), newValues: part(values, token),
                features: part(features, token), columns: columns, position: test.origin + token,
                used: min(token, shape.slots),
                phase: token == 0 ? 0 : (token - 1) % test.queries + 1, promptEnd: test.promptEnd, pins: test.pins,
                level: level, threads: threads)
        }
        return (outputs, (0..<shape.heads).map(kernel.positions))
    }
}

extension KernelCase {
    /// The positions in one head's slots.
    func positions(_ head: Int) -> [Float] {
        Array(
            UnsafeBufferPointer(start: cache.slots.positions + head * shape.slots, count: shape.slots))
    }
}
