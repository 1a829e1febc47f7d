internal import Ggml

/// Decodes one token of each of several sequences at a time; the weights are read once for all of them.
///
/// What a sequence's logits are does not depend on which others take part.
package final class Batch {
    private let runner: ModelRunner
    /// Whether attention is a part of graphs, which differ by the number of sequences.
    private let isGraph: Bool

    /// - Parameters:
    ///   - model: the model of all engines.
    ///   - threads: CPU threads.
    ///   - attention: how the engines attend that ``sizes(upTo:)`` is asked for.
    package init(_ model: Model, threads: Int, attention: CacheOptions.AttentionPath = .automatic) throws {
        isGraph = attention == .graph || !model.placement.usesHostMemory
        runner = ModelRunner(model, on: try Backend(model.placement, threads: threads), rounding: .independent)
    }

    /// The sizes of batches up to a largest one that need graphs, and so memory, of their own.
    package func sizes(upTo largest: Int) -> [Int] {
        (1...largest).filter { $0 == largest || isGraph || runner.columns($0) != runner.columns($0 + 1) }
    }

    /// Bytes of intermediate results held.
    package var computeBytes: Int { runner.allocatedBytes }

    /// Feeds one token to each engine; afterwards each engine's ``Engine/logits`` are those after its token.
    ///
    /// - Throws: ``CacheError`` for an id outside the vocabulary; no sequence of the batch has then changed, except that
    ///   room was made. `GgmlError` when memory is short or the device fails.
    package func decode(_ steps: [(engine: Engine, token: Token)]) throws {
        for step in steps { try step.engine.prepareToDecode(step.token) }
        let feeds = steps.map { Feed(cache: $0.engine.cache, tokens: [$0.token]) }
        try runner.step(feeds) { $1.read(into: &steps[$0].engine.logits) }
    }
}
