internal import Ggml

/// Decodes one token of each of several sequences at a time; the weights are read once for all of them.
///
/// What a sequence's logits are does not depend on which others take part.
package final class Batch {
    private let stepper: Stepper

    /// - Parameters:
    ///   - model: the model of all engines.
    ///   - threads: CPU threads.
    package init(_ model: Model, threads: Int) throws {
        stepper = try Stepper(model, on: Backend(model.device, threads: threads), rounding: .independent)
    }

    /// The sizes of batches up to a largest one that need graphs, and so memory, of their own.
    package func sizes(upTo largest: Int) -> [Int] {
        (1...largest).filter { $0 == largest || stepper.columns($0) != stepper.columns($0 + 1) }
    }

    /// Bytes of intermediate results held.
    package var computeBytes: Int { stepper.allocatedBytes }

    /// Feeds one token to each engine; afterwards each engine's ``Engine/logits`` are those after its token.
    ///
    /// Engines on devices that the fused kernel cannot run on are fed one after the other.
    ///
    /// - Throws: ``CacheError`` for an id outside the vocabulary, `GgmlError` when memory is short; no sequence of
    ///   the batch has then changed, except that room was made.
    package func decode(_ steps: [(engine: Engine, token: Token)]) throws {
        for step in steps { try step.engine.prepareToDecode(step.token) }
        let fused = steps.filter { $0.engine.cache.isFused }
        if !fused.isEmpty {
            let feeds = fused.map { Stepper.Feed(cache: $0.engine.cache, tokens: [$0.token]) }
            try stepper.step(feeds) { $1.readLogits($0, into: &fused[$0].engine.logits) }
        }
        for step in steps where !step.engine.cache.isFused { try step.engine.decode(step.token) }
    }
}
