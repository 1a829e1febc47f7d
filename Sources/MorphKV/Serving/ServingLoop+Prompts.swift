internal import Ggml

/// How prompts are fed between the steps of running answers.
extension ServingLoop {
    /// Feeds one part of the oldest unfinished prompt, and parts of others that fit in with it, so that running answers wait for no
    /// more than that.
    func feedPrompts() {
        guard let sequence = sequences.first(where: \.canFeedPrompt), let engine = sequence.slot.engine else { return }
        let start = clock.now
        let parts = sequences.compactMap { sequence in
            sequence.slot.engine.flatMap(sequence.sharedPart).map { (owner: sequence, part: $0) }
        }
        let together = parts.first?.owner === sequence ? caches.together(parts) : []
        guard together.count > 1 else {
            return attempt(sequence) {
                let count = try sequence.feedPrompt(to: engine)
                countPart(of: count, since: start)
                try goOn(sequence, engine)
            }
        }
        do {
            try Engine.prefill(together.map(\.part))
        } catch {
            for (sequence, _) in together { end(sequence, error: ServingError(error)) }
            return
        }
        countPart(of: together.reduce(0) { $0 + $1.part.tokens.count }, since: start)
        for (sequence, part) in together {
            sequence.didFeed(part)
            attempt(sequence) { try goOn(sequence, part.engine) }
        }
    }

    private func countPart(of tokens: Int, since start: ContinuousClock.Instant) {
        let seconds = (clock.now - start) / .seconds(1)
        meter.update {
            $0.promptTokens += tokens
            $0.chunkSeconds.add(seconds)
        }
    }

    /// Says how far a prompt is, and begins the answer when all of it was fed.
    private func goOn(_ sequence: ServedSequence, _ engine: Engine) throws {
        sequence.reportProgress(at: clock.now)
        guard !sequence.hasPrompt else { return }
        try advance(sequence, engine)
        let wait = (clock.now - sequence.queued.submitted) / .seconds(1)
        meter.update { $0.firstTokenSeconds.add(wait) }
    }
}
