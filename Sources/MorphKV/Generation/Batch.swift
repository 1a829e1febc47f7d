/// Decodes one token of each of several sequences at a time.
package final class Batch {
    private let model: Model

    /// - Parameters:
    ///   - model: the model of all engines.
    ///   - threads: CPU threads.
    package init(_ model: Model, threads: Int) throws { self.model = model }

    /// Feeds one token to each engine; afterwards each engine's `logits` are those after its token.
    package func decode(_ steps: [(engine: Engine, token: Token)]) throws {
        for step in steps {
            precondition(step.engine.model === model, "all sequences of a batch use its model")
            try step.engine.decode(step.token)
        }
    }
}
