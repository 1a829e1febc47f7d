internal import Ggml

/// Prompts of several sequences that enter at once, so that the weights are read once for all of them.
extension Engine {
    /// A prompt, or a part of one.
    package struct Prompt {
        package let engine: Engine
        package let tokens: [Token]
        /// Whether the tokens are a further part of the sequence's first prompt.
        package let continuesFirstPrompt: Bool

        package init(_ engine: Engine, _ tokens: [Token], continuesFirstPrompt: Bool = false) {
            self.engine = engine
            self.tokens = tokens
            self.continuesFirstPrompt = continuesFirstPrompt
        }

        /// Entries that its tokens see, themselves included.
        package var entries: Int { engine.slotsUsed + tokens.count }

        /// Whether it can enter with another one: where graphs attend, with caches of the same plan, and models with one hidden
        /// state per token.
        package func canEnter(with other: Prompt) -> Bool {
            let (cache, others) = (engine.cache, other.engine.cache)
            return engine.workspace === other.engine.workspace && !cache.isFused && engine.entersInOneGo(tokens)
                && other.engine.entersInOneGo(other.tokens)
                && cache.layers.map(\.plan) == others.layers.map(\.plan)
        }
    }

    /// Tokens that prompts which enter at once may have in all.
    package static var mostTogether: Int { Prefill.chunk }

    private func entersInOneGo(_ tokens: [Token]) -> Bool {
        !cache.hasFrozenEntries && !cache.hasParts && !cache.hasPlaces && model.description.hasOneHiddenState
            && cache.options.policy.compression == nil && parts(of: tokens).count == 1
    }

    /// Feeds prompts, each on top of what its own cache holds; then the policy selects.
    ///
    /// What the logits are depends on the others only as far as the device rounds products with other numbers of columns
    /// differently.
    ///
    /// - Parameter prompts: each of which can enter with the first, of different sequences, with at most ``mostTogether`` tokens in all.
    /// - Throws: ``CacheError`` for an id outside the vocabulary, the sequences being as before; `GgmlError` when the
    ///   device fails, which empties all of their caches.
    package static func prefill(_ prompts: [Prompt]) throws {
        precondition(prompts.reduce(0) { $0 + $1.tokens.count } <= mostTogether)
        let first = prompts[0].engine
        for prompt in prompts { for token in prompt.tokens { try first.model.check(token) } }
        do {
            var tokens: [Token] = []
            var members: [JointPrefill.Member] = []
            for prompt in prompts {
                let (engine, count) = (prompt.engine, prompt.tokens.count)
                let isFirst = !engine.hasLogits || prompt.continuesFirstPrompt
                try engine.makeRoom(for: count)
                try engine.cache.grow(by: count, isFirstPrompt: isFirst)
                if isFirst { engine.cache.extendPrompt(by: count) }
                members.append(
                    .init(
                        cache: engine.cache, isFirstPrompt: isFirst, columns: tokens.count..<tokens.count + count))
                tokens += prompt.tokens
            }
            let stream = try first.reader.stream(of: tokens, on: first.backend)
            let prefill = JointPrefill(
                model: first.model, backend: first.backend, allocator: first.prefillAllocator, members: members)
            for (prompt, logits) in zip(prompts, try prefill.run(stream)) {
                prompt.engine.logits.replaceSubrange(0..., with: logits)
            }
        } catch {
            for prompt in prompts { prompt.engine.cache.clear() }
            throw error
        }
    }
}
