internal import Foundation

/// How well a sequence that reads one text after another, far beyond the trained context, still predicts each of them,
/// against the full cache that reads each text alone.
package struct LongReading: Sendable, Hashable, Codable {
    /// The sequence's positions that the figures are of.
    package var from: Int
    /// The position after them.
    package var to: Int
    /// Tokens that were predicted there.
    package var tokens: Int
    /// exp of the mean negative log-likelihood.
    package var perplexity: Double
    /// The same of each text read alone.
    package var freshPerplexity: Double
    /// Mean Kullback-Leibler divergence from the distributions of each text read alone, in nats.
    package var meanKL: Double

    /// Tokens at the beginning of a text that are not counted: what came before it may help to predict them.
    package static let skipped = 64

    /// Reads texts in turns until so many tokens were read.
    ///
    /// - Parameters:
    ///   - texts: each with more than ``skipped`` tokens and no longer than the trained context.
    ///   - edges: where the stretches that are looked at begin and end, ascending.
    ///   - progress: called after every text with the tokens done.
    /// - Throws: ``CacheError`` of kind `emptyPrompt` if a text is too short or too long to be read alone.
    package static func measure(
        _ model: Model, _ sequence: some FedSequence, texts: [[Token]], edges: [Int], threads: Int,
        progress: (Int) -> Void = { _ in }
    ) throws -> [LongReading] {
        let context = model.description.contextLength
        guard let end = edges.last, !texts.isEmpty, texts.allSatisfy({ (skipped + 2...context).contains($0.count) })
        else {
            throw CacheError(
                .emptyPrompt, "texts of \(skipped + 2) to \(context) tokens are needed, each to be read alone")
        }
        let alone = try Engine(model, .full, threads: threads, reserve: context)
        var sums = Array(repeating: PredictionSums(), count: edges.count - 1)
        var position = 0
        for number in 0... {
            let text = texts[number % texts.count]
            alone.clear()
            for (index, token) in text.enumerated() {
                if index > skipped, let stretch = edges.lastIndex(where: { $0 <= position }), stretch < sums.count {
                    sums[stretch].add(sequence.logits, alone.logits, next: token)
                }
                try sequence.decode(token)
                try alone.decode(token)
                position += 1
            }
            progress(position)
            if position >= end { break }
        }
        return zip(zip(edges, edges.dropFirst()), sums).filter { $1.count > 0 }.map { stretch, sums in
            LongReading(
                from: stretch.0, to: stretch.1, tokens: sums.count, perplexity: sums.perplexity,
                freshPerplexity: sums.referencePerplexity, meanKL: sums.meanKL)
        }
    }
}
