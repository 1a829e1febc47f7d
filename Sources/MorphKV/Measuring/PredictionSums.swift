internal import Foundation

/// How far next-token distributions are from those of a reference, summed over tokens.
struct PredictionSums {
    private(set) var count = 0
    private var negativeLog = 0.0
    private var referenceNegativeLog = 0.0
    private var divergence = 0.0
    private var sameTop = 0

    /// Adds one token's predictions.
    mutating func add(_ logits: [Float], _ reference: [Float], next: Token) {
        let p = Self.logProbabilities(reference)
        let q = Self.logProbabilities(logits)
        count += 1
        negativeLog -= q[Int(next)]
        referenceNegativeLog -= p[Int(next)]
        divergence += zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        sameTop += p.indices.max { p[$0] < p[$1] } == q.indices.max { q[$0] < q[$1] } ? 1 : 0
    }

    private static func logProbabilities(_ logits: [Float]) -> [Double] {
        let normalizer = logits.logSumExp
        return logits.map { Double($0) - normalizer }
    }

    var perplexity: Double { exp(negativeLog / Double(count)) }
    var referencePerplexity: Double { exp(referenceNegativeLog / Double(count)) }
    /// Of the distributions from the reference's, in nats.
    var meanKL: Double { divergence / Double(count) }
    /// Share of tokens for which both find the same one most likely.
    var sameTopToken: Double { Double(sameTop) / Double(count) }
}
