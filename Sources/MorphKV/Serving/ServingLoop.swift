internal import Ggml
internal import Synchronization

/// What the computing thread and those who ask both look at.
final class ServingMeter: Sendable {
    private let state = Mutex(ServingStatistics())

    var statistics: ServingStatistics { state.withLock { $0 } }

    func update(_ change: (inout ServingStatistics) -> Void) { state.withLock { change(&$0) } }
}

/// The computing thread's work: requests join and leave between steps.
///
/// Not Sendable: it belongs to one thread from its start on.
final class ServingLoop {
    private let model: Model
    private let options: ServingOptions
    private let inbox: Inbox
    private let meter: ServingMeter
    private let caches: ServingCaches
    private let batch: Batch
    private let samplerMemory: SamplerMemory
    private let clock = ContinuousClock()
    private var sequences: [ServedSequence] = []

    /// Allocates everything, and runs the largest steps once.
    ///
    /// - Throws: ``ServingError``, ``CacheError`` or `GgmlError`.
    init(_ model: Model, _ options: ServingOptions, inbox: Inbox, meter: ServingMeter) throws {
        self.model = model
        self.options = options
        self.inbox = inbox
        self.meter = meter
        caches = try ServingCaches(model, options)
        batch = try Batch(model, threads: options.threads)
        samplerMemory = SamplerMemory(vocabularySize: model.description.vocabularySize)
        for tensor in model.weights.value.mapped { tensor.touch() }
        try caches.rehearse()
        for size in batch.sizes(upTo: options.parallel) {
            for slot in caches.slots { try slot.engine!.rehearse(chunk: 0) }
            try batch.decode(caches.slots.prefix(size).map { ($0.engine!, 0) })
        }
        try caches.rehearseContexts(batch)
        for slot in caches.slots { slot.clear() }
        meter.update { [caches] in $0.cacheBytesPlanned = caches.bytes }
    }

    /// What was allocated.
    var memory: ServingMemory { caches.memory(steps: batch.computeBytes + samplerMemory.bytes) }

    /// Works until the inbox is stopped.
    func run() {
        while inbox.wait(hasWork: sequences.contains(where: isReady)) {
            dropEnded()
            admit()
            feedPrompts()
            step()
            report()
        }
        let error = ServingError(.shuttingDown, "the server was shut down before the answer's end")
        for sequence in sequences { end(sequence, error: error) }
        for ticket in inbox.remove(where: { _ in true }) { refuse(ticket, error) }
        report()
    }

    private func isReady(_ sequence: ServedSequence) -> Bool {
        sequence.ticket.outbox.isAbandoned || sequence.hasPrompt || !sequence.ticket.outbox.isFull
    }

    // MARK: Joining and leaving

    private func dropEnded() {
        let now = clock.now
        let late = ServingError(.outOfTime, "the request took longer than the time limit")
        for ticket in inbox.remove(where: { $0.outbox.isAbandoned || $0.deadline <= now }) {
            refuse(ticket, ticket.outbox.isAbandoned ? nil : late)
        }
        for sequence in sequences {
            if sequence.ticket.outbox.isAbandoned {
                end(sequence, error: nil)
            } else if sequence.ticket.deadline <= now {
                end(sequence, error: late)
            } else if isUnread(sequence, now) {
                end(sequence, error: ServingError(.notRead, "nobody took the answer"))
            }
        }
    }

    private func isUnread(_ sequence: ServedSequence, _ now: ContinuousClock.Instant) -> Bool {
        guard sequence.ticket.outbox.isFull else {
            sequence.fullSince = nil
            return false
        }
        sequence.lastToken = nil
        let since = sequence.fullSince ?? now
        sequence.fullSince = since
        return now - since >= options.readLimit
    }

    private func admit() {
        while let ticket = inbox.take() {
            do {
                let slot = try caches.claim(for: ticket.request)
                do {
                    let sequence = try ServedSequence(
                        ticket, slot: slot, model: model, chunk: options.promptChunk, full: caches.fullCost,
                        memory: samplerMemory)
                    meter.update { $0.cachedTokens += sequence.cachedTokens }
                    sequences.append(sequence)
                } catch {
                    caches.giveBack(slot, keeps: false)
                    throw error
                }
            } catch {
                inbox.release()
                refuse(ticket, ServingError(error))
            }
        }
    }

    private func refuse(_ ticket: Ticket, _ error: ServingError?) {
        if let error { ticket.outbox.fail(error) }
        count(ticket, outcome(of: error))
    }

    /// Ends a sequence before its time.
    private func end(_ sequence: ServedSequence, error: ServingError?) {
        if let error { sequence.ticket.outbox.fail(error) }
        leave(sequence, outcome(of: error), keeps: false)
    }

    private func leave(_ sequence: ServedSequence, _ outcome: ServingStatistics.Outcome, keeps: Bool) {
        sequences.removeAll { $0 === sequence }
        let evicted = sequence.slot.engine?.evicted ?? 0
        meter.update { $0.evictedTokens += evicted }
        caches.giveBack(sequence.slot, keeps: keeps)
        inbox.release()
        count(sequence.ticket, outcome)
    }

    private func outcome(of error: ServingError?) -> ServingStatistics.Outcome {
        switch error?.kind {
        case nil, .notRead: .cancelled
        case .outOfTime: .outOfTime
        default: .failed
        }
    }

    private func count(_ ticket: Ticket, _ outcome: ServingStatistics.Outcome) {
        let seconds = (clock.now - ticket.submitted) / .seconds(1)
        meter.update {
            $0.outcomes[outcome, default: 0] += 1
            $0.requestSeconds.add(seconds)
        }
    }

    // MARK: Computing

    /// Feeds one part of the oldest unfinished prompt, so that running answers wait for no more than that.
    private func feedPrompts() {
        guard let sequence = sequences.first(where: \.hasPrompt), let engine = sequence.slot.engine else { return }
        let start = clock.now
        attempt(sequence) {
            let count = try sequence.feedPrompt(to: engine)
            let seconds = (clock.now - start) / .seconds(1)
            meter.update {
                $0.promptTokens += count
                $0.chunkSeconds.add(seconds)
            }
            guard !sequence.hasPrompt else { return }
            try advance(sequence, engine)
            let wait = (clock.now - sequence.ticket.submitted) / .seconds(1)
            meter.update { $0.firstTokenSeconds.add(wait) }
        }
    }

    /// One step of every answer that somebody reads.
    private func step() {
        let ready = sequences.filter { $0.unfed != nil && !$0.ticket.outbox.isFull && !$0.ticket.outbox.isAbandoned }
        guard !ready.isEmpty else { return }
        let start = clock.now
        do {
            try batch.decode(ready.map { ($0.slot.engine!, $0.unfed!) })
        } catch {
            for sequence in ready { end(sequence, error: ServingError(error)) }
            return
        }
        let seconds = (clock.now - start) / .seconds(1)
        meter.update { $0.stepSeconds.add(seconds) }
        for sequence in ready {
            sequence.didFeed()
            attempt(sequence) { try advance(sequence, sequence.slot.engine!) }
        }
    }

    /// Chooses a sequence's next token and hands out what it gave.
    private func advance(_ sequence: ServedSequence, _ engine: Engine) throws {
        let before = sequence.generated
        let piece = try sequence.advance(engine)
        let new = sequence.generated - before
        let now = clock.now
        let gap = sequence.lastToken.map { (now - $0) / .seconds(1) }
        sequence.lastToken = now
        meter.update {
            $0.generatedTokens += new
            if let gap { $0.gapSeconds.add(gap) }
        }
        guard let end = piece?.end else {
            if let piece { sequence.ticket.outbox.put(piece) }
            return
        }
        // Whoever sees the end may ask again at once, and finds the sequence free.
        leave(sequence, end.reason == .stop ? .stop : .length, keeps: true)
        sequence.ticket.outbox.put(piece!)
    }

    /// An error ends the one sequence that it concerns.
    private func attempt(_ sequence: ServedSequence, _ body: () throws -> Void) {
        do { try body() } catch { end(sequence, error: ServingError(error)) }
    }

    private func report() {
        let (kept, used) = (caches.keptCount, caches.usedBytes)
        meter.update {
            $0.keptConversations = kept
            $0.cacheBytesUsed = used
        }
    }
}

extension ServingError {
    /// What goes wrong below, in words for the one who asked.
    init(_ error: any Error) {
        switch error {
        case let error as ServingError: self = error
        case let error as GenerationError where error.kind == .invalidOption:
            self.init(.invalidRequest, error.description)
        case let error as CacheError: self.init(.invalidRequest, error.description)
        default: self.init(.failed, "\(error)")
        }
    }
}
