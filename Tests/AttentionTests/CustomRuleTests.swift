import CAttention
import CTestRules
import Foundation
import Testing

/// Formulas of another target, through ATTENTION_CUSTOM, against their definitions.
@Suite struct CustomRuleTests {
    /// A score that is given once, when the entry is written; needs no weights.
    static let writtenOnce = ScoringCase.Custom(
        // A third that the rule does not read.
        features: 3,
        rule: { test in
            let state = test.place(
                test_written_once(scores: test.zeros(test.shape.heads * test.shape.slots)))
            return attention_custom(table: test_written_once_rule(), state: state)
        },
        score: { entry, _, _ in entry.features[0] - entry.features[1] })

    /// A score that peaks and ages; needs the positions of the slots and of the token.
    static let peaking = ScoringCase.Custom(
        rule: { test in
            let count = test.shape.heads * test.shape.slots
            let state = test.place(
                test_peaking(
                    half_life: 6, peaks: test.zeros(count), times: test.zeros(count),
                    counts: test.zeros(count)))
            return attention_custom(table: test_peaking_rule(), state: state)
        },
        score: { entry, given, position in
            var (peak, time, count) = (0.0, Double(entry.position), 0.0)
            for (query, weight) in given where weight > peak * exp2((time - Double(query)) / 6) {
                (peak, time, count) = (weight, Double(query), count + 1)
            }
            return peak * exp2((time - Double(position)) / 6) * count / Double(position - entry.position)
        })

    static let cases = [writtenOnce, peaking].flatMap { rule in
        (UInt64(100)..<108).map { seed in
            var test = ScoringCase(seed: seed)
            test.formula = .custom(rule)
            return test
        }
    }

    @Test("a formula of another target does what its definition says", arguments: cases)
    func followsDefinition(_ test: ScoringCase) {
        for level in levels {
            let threads = Int(test.seed / 2 % 3) + 1
            let diary = RuleDiary(test, level: level, threads: threads)
            diary.follow(tokens: test.shape.slots + 25)
            #expect(diary.complaints == [], "level \(level.rawValue), \(threads) threads")
        }
    }
}
