import MorphEval
import Testing

@Suite("Runs against each other, sample by sample")
struct PairedComparisonTests {
    private func score(_ values: [Double], _ ids: [String]? = nil) -> EvaluationScore {
        EvaluationScore("m", values: values, ids: ids ?? values.indices.map { "\($0)" })
    }

    private func compare(_ values: [Double], _ base: [Double]) throws -> PairedComparison {
        try #require(PairedComparison(score(values), against: score(base)))
    }

    @Test(
        "the sign test is the exact one: twice the binomial tail, ties left out",
        arguments: [
            (8, 2, 3, 0.109375), (5, 0, 0, 0.0625), (0, 6, 9, 0.03125), (0, 0, 4, 1.0), (3, 3, 0, 1.0),
            // 2 (C(20,0) + ... + C(20,3)) / 2^20
            (17, 3, 0, 2702.0 / 1_048_576),
        ])
    func signTest(_ better: Int, _ worse: Int, _ ties: Int, _ expected: Double) throws {
        let signs = Array(repeating: 1.0, count: better) + Array(repeating: -1, count: worse)
        let differences = signs + Array(repeating: 0, count: ties)
        let comparison = try compare(differences.map { 50 + $0 }, differences.map { _ in 50 })
        #expect(comparison.better == better && comparison.worse == worse)
        #expect(abs(comparison.signTest - expected) < 1e-12, "\(comparison.signTest)")
    }

    @Test("very many samples give a probability all the same")
    func manySamples() {
        #expect((0..<1e-100).contains(PairedComparison.signTest(better: 4000, worse: 1000)))
        // The normal approximation: 2 (1 - Φ(139 / √5000)), with half a sample less.
        #expect(abs(PairedComparison.signTest(better: 2570, worse: 2430) - 0.0493) < 0.0005)
        #expect(PairedComparison.signTest(better: 2500, worse: 2500) == 1)
    }

    @Test("the interval is that of pairs: what both runs find hard does not widen it")
    func pairs() throws {
        let base = (0..<40).map { Double(($0 * 37) % 100) }
        let constant = try compare(base.map { $0 + 3 }, base)
        let interval = try #require(constant.interval)
        #expect(abs(constant.difference - 3) < 1e-9 && constant.samples == 40)
        #expect(abs(interval.lowerBound - 3) < 1e-9 && abs(interval.upperBound - 3) < 1e-9)
        // Differences of 0 and 10, half and half: 5 ± 1.96 · 5 / √40.
        let mixed = try compare(base.enumerated().map { $1 + ($0 % 2 == 0 ? 10 : 0) }, base)
        let mixedInterval = try #require(mixed.interval)
        #expect(abs(mixedInterval.lowerBound - 3.45) < 0.4 && abs(mixedInterval.upperBound - 6.55) < 0.4)
        let swapped = try compare(base, base.enumerated().map { $1 + ($0 % 2 == 0 ? 10 : 0) })
        #expect(swapped.difference == -mixed.difference && swapped.worse == mixed.better)
    }

    @Test("samples are paired by name, in whatever order they stand; only common ones count")
    func names() throws {
        let comparison = try #require(
            PairedComparison(
                score([10, 20, 30], ["a", "b", "c"]), against: score([31, 7, 11], ["c", "x", "a"])))
        #expect(comparison.samples == 2 && comparison.difference == -1 && comparison.worse == 2)
        #expect(PairedComparison(score([1], ["a"]), against: score([1], ["b"])) == nil)
        let alone = try #require(PairedComparison(score([9], ["a"]), against: score([1], ["a"])))
        #expect(alone.interval == nil && alone.verdict(0.001) == .notCertain)
    }

    @Test("several tests at a time are adjusted as Holm says")
    func adjusted() {
        func isClose(_ a: [Double], _ b: [Double]) -> Bool { zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 } }
        #expect(isClose(PairedComparison.adjusted([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]))
        #expect(isClose(PairedComparison.adjusted([0.5, 0.01, 0.9]), [1, 0.03, 1]))
        #expect(PairedComparison.adjusted([]).isEmpty)
    }

    @Test("only what both tests say is certain")
    func verdicts() throws {
        let better = try compare([2, 2, 2, 2, 2, 2, 2, 2], Array(repeating: 1, count: 8))
        #expect(better.verdict(better.signTest) == .better && better.verdict(0.05) == .notCertain)
        let worse = try compare([0, 0, 0, 0, 0, 0, 0, 0], Array(repeating: 1, count: 8))
        #expect(worse.verdict(worse.signTest) == .worse)
        // Nearly all are a little better, one is much worse: the tests disagree.
        let mixed = try compare([-99] + Array(repeating: 2, count: 11), Array(repeating: 1, count: 12))
        #expect(mixed.signTest < 0.05 && mixed.verdict(mixed.signTest) == .notCertain)
    }

    @Test(
        "a question that was asked several times is drawn with all of its answers: repeats do not make it more certain")
    func repeats() throws {
        let once = (0..<10).map { Double($0 % 2) * 100 }
        let names = (0..<10).map { "q/\($0)" }
        let times = 8
        let all = (1...times).flatMap { time in names.map { time > 1 ? "\($0)#\(time) digest" : "\($0) digest" } }
        let many = score((0..<times).flatMap { _ in once }, all)
        #expect(many.questions.count == 10 && many.count == 80)
        #expect(many.interval == score(once, names).interval)
        // As samples of their own they would seem to be much more certain.
        let apart = try #require(score((0..<times).flatMap { _ in once }).interval)
        let own = try #require(many.interval)
        #expect(apart.upperBound - apart.lowerBound < 0.5 * (own.upperBound - own.lowerBound))
        let comparison = try #require(
            PairedComparison(many, against: score(Array(repeating: 50, count: 80), all)))
        #expect(comparison.samples == 80 && comparison.questions == 10)
        #expect(comparison.better == 5 && comparison.worse == 5 && comparison.signTest == 1)
        // A name that only looks like one: "#" without a number.
        #expect(score([1, 2], ["a#x", "a#y"]).questions.count == 2)
    }
}
