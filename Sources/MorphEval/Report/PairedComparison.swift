internal import Foundation

/// How two runs differ on the same samples: by how much, and whether that can be chance.
public struct PairedComparison: Sendable, Hashable {
    /// The samples that both runs have.
    public let samples: Int
    /// The first score less the second, in percent, both of these samples.
    public let difference: Double
    /// The questions that both runs have; fewer than ``samples`` where they were asked several times.
    public let questions: Int
    /// The 95 % interval of the difference by the paired bootstrap: the same questions are drawn for both runs, each with all
    /// of its answers. `nil` for fewer than two questions.
    public let interval: ClosedRange<Double>?
    /// Questions on which the first run is better, over all answers to them.
    public let better: Int
    /// Questions on which it is worse.
    public let worse: Int

    /// Compares two scores, sample by sample.
    ///
    /// - Returns: `nil` if they have no sample in common or do not say which samples they are of.
    package init?(_ score: EvaluationScore, against base: EvaluationScore) {
        let places = Dictionary(base.ids.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        let pairs = score.ids.enumerated().compactMap { own, id in places[id].map { (own: own, other: $0) } }
        guard !pairs.isEmpty else { return nil }
        func difference(_ chosen: some Sequence<Int>) -> Double {
            let chosen = Array(chosen)
            return score.value(of: chosen.map { pairs[$0].own }) - base.value(of: chosen.map { pairs[$0].other })
        }
        samples = pairs.count
        self.difference = difference(pairs.indices)
        let groups = EvaluationScore.questions(pairs.map { score.ids[$0.own] })
        questions = groups.count
        interval = EvaluationScore.interval(of: groups, difference)
        let each = groups.map(difference)
        better = each.count { $0 > Self.rounding }
        worse = each.count { $0 < -Self.rounding }
    }

    /// Below this two scores in percent are the same.
    private static let rounding = 1e-9

    /// How likely it is that so many samples or more point to one side by chance: the exact two-sided sign test; samples
    /// that do not differ do not count.
    public var signTest: Double { Self.signTest(better: better, worse: worse) }

    /// The two-sided sign test of so many samples that differ.
    package static func signTest(better: Int, worse: Int) -> Double {
        let (few, all) = (min(better, worse), better + worse)
        var (logarithm, sum) = (-Double(all) * log(2.0), 0.0)
        for count in 0...few {
            sum += exp(logarithm)
            logarithm += log(Double(all - count) / Double(count + 1))
        }
        return min(1, 2 * sum)
    }

    /// The probabilities of several tests made together, so that the chance of one false alarm among all of them stays what
    /// it is for one (Holm's method), in the same order.
    package static func adjusted(_ probabilities: [Double]) -> [Double] {
        var result = probabilities
        var highest = 0.0
        for (rank, index) in probabilities.indices.sorted(by: { probabilities[$0] < probabilities[$1] }).enumerated() {
            highest = max(highest, min(1, probabilities[index] * Double(probabilities.count - rank)))
            result[index] = highest
        }
        return result
    }

    /// What can be said for certain.
    package enum Verdict: String, Sendable, Hashable {
        /// The first score is higher.
        case better
        /// The first score is lower.
        case worse
        /// Neither.
        case notCertain = "not certain"
    }

    /// The verdict: both tests have to agree that the runs differ, and on the direction.
    ///
    /// - Parameter probability: the sign test's, adjusted for other tests made together with it.
    package func verdict(_ probability: Double) -> Verdict {
        guard let interval, probability < 0.05 else { return .notCertain }
        if interval.lowerBound > 0, better > worse { return .better }
        return interval.upperBound < 0 && worse > better ? .worse : .notCertain
    }
}
