internal import Ggml

/// Continuous batching: one step of the loop decodes a token of every running answer as one batch, and requests join
/// and leave between steps.
///
/// Not Sendable: it belongs to one thread from its start on.
final class ServingLoop {
    private let model: Model
    private let options: ServingOptions
    private let queue: RequestQueue
    let meter: ServingMeter
    let caches: ServingCaches
    private let contexts: ContextStore
    private let batch: Batch
    private let samplerMemory: SamplerMemory
    let clock = ContinuousClock()
    private(set) var sequences: [ServedSequence] = []

    /// Allocates everything, and runs the largest steps once.
    ///
    /// - Throws: ``ServingError``, ``CacheError`` or `GgmlError`.
    init(
        _ model: Model, _ options: ServingOptions, _ limits: ServingLimits, _ contexts: ContextStore,
        queue: RequestQueue, meter: ServingMeter
    ) throws {
        self.model = model
        self.options = options
        self.contexts = contexts
        self.queue = queue
        self.meter = meter
        caches = try ServingCaches(model, options, limits)
        batch = try Batch(model, threads: options.threads, attention: options.cache.attention)
        samplerMemory = SamplerMemory(vocabularySize: model.description.vocabularySize)
        for tensor in model.weights.value.mapped { tensor.touch() }
        try caches.warmUp(batch)
        try caches.warmUpContexts(batch)
        for slot in caches.slots { slot.clear() }
        meter.update { [caches] in
            $0.cacheBytesPlanned = caches.bytes
            $0.slots = caches.slots.map { $0.state(nil) }
        }
    }

    /// What was allocated.
    var memory: ServingMemory { caches.memory(steps: batch.computeBytes + samplerMemory.bytes) }

    /// Works until the queue is stopped.
    func run() {
        while queue.wait(
            hasWork: contexts.hasJob || sequences.contains(where: isReady),
            canBegin: { caches.isFree(for: $0.request) })
        {
            takeTurn()
            if let job = contexts.nextJob() { compress(job) }
        }
        let error = ServingError(.shuttingDown, "the server was shut down before the answer's end")
        for sequence in sequences { end(sequence, error: error) }
        for queued in queue.remove(where: { _ in true }) { refuse(queued, error) }
        for task in queue.takeTasks(where: { _ in true }) { task.fail(error) }
        for work in queue.takeWork() { work(caches) }
        updateMeter()
    }

    /// - Parameter feeds: whether a part of a prompt may be fed.
    private func takeTurn(feeds: Bool = true) {
        dropEnded()
        workOnSlots()
        for work in queue.takeWork() { work(caches) }
        admit()
        if feeds { feedPrompts() }
        step()
        updateMeter()
    }

    /// Reads and scores a text; between its graphs, of which none takes longer than a part of a prompt, all others have
    /// their turns.
    private func compress(_ job: ContextJob) {
        do {
            try job.read(model, options.wholeTexts, threads: options.threads) { [self] in
                guard queue.isRunning else { throw CancellationError() }
                takeTurn(feeds: false)
                // After a graph comes a step, and after a part of a prompt another one.
                if sequences.contains(where: \.canFeedPrompt) { takeTurn() }
            }
            contexts.finish(job, nil)
        } catch {
            contexts.finish(job, error)
        }
    }

    /// Does what was asked for on slots that are free, and gives up what waits for too long.
    private func workOnSlots() {
        let now = clock.now
        for task in queue.takeTasks(where: { $0.deadline <= now || !caches.slots[$0.slot].isBusy }) {
            guard task.deadline > now else {
                task.fail(ServingError(.outOfTime, "the slot was in use for longer than the time limit"))
                continue
            }
            task.run(caches)
            updateMeter()
        }
    }

    private func isReady(_ sequence: ServedSequence) -> Bool {
        sequence.queued.answer.isCancelled || sequence.canFeedPrompt || !sequence.queued.answer.isFull
    }

    // MARK: Joining and leaving

    private func dropEnded() {
        let now = clock.now
        let late = ServingError(.outOfTime, "the request took longer than the time limit")
        for queued in queue.remove(where: { $0.answer.isCancelled || $0.deadline <= now }) {
            refuse(queued, queued.answer.isCancelled ? nil : late)
        }
        for sequence in sequences {
            if sequence.queued.answer.isCancelled {
                end(sequence, error: nil)
            } else if sequence.queued.deadline <= now {
                end(sequence, error: late)
            } else if isUnread(sequence, now) {
                end(sequence, error: ServingError(.notRead, "nobody took the answer"))
            }
        }
    }

    private func isUnread(_ sequence: ServedSequence, _ now: ContinuousClock.Instant) -> Bool {
        guard sequence.queued.answer.isFull else {
            sequence.fullSince = nil
            return false
        }
        sequence.lastToken = nil
        let since = sequence.fullSince ?? now
        sequence.fullSince = since
        return now - since >= options.readLimit
    }

    private func admit() {
        while let queued = queue.take(where: { caches.isFree(for: $0.request) }) {
            do {
                let slot = try caches.claim(for: queued.request)
                do {
                    let sequence = try ServedSequence(
                        queued, slot: slot, model: model, chunk: options.promptChunk, full: caches.fullCost,
                        memory: samplerMemory, at: clock.now)
                    sequence.reportProgress(at: clock.now)
                    meter.update {
                        $0.cachedTokens += sequence.cachedTokens
                        $0.pinnedTokens += sequence.newPins
                    }
                    sequences.append(sequence)
                } catch {
                    caches.giveBack(slot, keeps: false)
                    throw error
                }
            } catch {
                queue.release()
                refuse(queued, ServingError(error))
            }
        }
    }

    private func refuse(_ queued: QueuedRequest, _ error: ServingError?) {
        if let error { queued.answer.fail(error) }
        count(queued, outcome(of: error))
    }

    /// Ends a sequence before its time.
    func end(_ sequence: ServedSequence, error: ServingError?) {
        if let error { sequence.queued.answer.fail(error) }
        leave(sequence, outcome(of: error), keeps: false)
    }

    private func leave(_ sequence: ServedSequence, _ outcome: ServingStatistics.Outcome, keeps: Bool) {
        sequences.removeAll { $0 === sequence }
        // What a kept conversation had dropped before was counted with its earlier turn.
        let evicted = max(0, (sequence.slot.engine?.evicted ?? 0) - sequence.evictedBefore)
        let tokens = sequence.slot.engine?.seen ?? 0
        meter.update {
            $0.evictedTokens += evicted
            $0.mostTokens = max($0.mostTokens, tokens)
        }
        caches.giveBack(sequence.slot, keeps: keeps)
        queue.release()
        count(sequence.queued, outcome)
    }

    private func outcome(of error: ServingError?) -> ServingStatistics.Outcome {
        switch error?.kind {
        case nil, .notRead: .cancelled
        case .outOfTime: .outOfTime
        default: .failed
        }
    }

    private func count(_ queued: QueuedRequest, _ outcome: ServingStatistics.Outcome) {
        queued.request.use?.release()
        let seconds = (clock.now - queued.submitted) / .seconds(1)
        meter.update {
            $0.outcomes[outcome, default: 0] += 1
            $0.requestSeconds.add(seconds)
        }
    }

    // MARK: Computing

    /// One step of every answer, except those whose readers are too far behind.
    private func step() {
        let ready = sequences.filter { $0.unfed != nil && !$0.queued.answer.isFull && !$0.queued.answer.isCancelled }
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

    /// Chooses a sequence's next token and passes on what it gave.
    func advance(_ sequence: ServedSequence, _ engine: Engine) throws {
        let before = sequence.generated
        let now = clock.now
        let piece = try sequence.advance(engine, at: now)
        let new = sequence.generated - before
        let gap = sequence.lastToken.map { (now - $0) / .seconds(1) }
        sequence.lastToken = now
        meter.update {
            $0.generatedTokens += new
            if let gap { $0.gapSeconds.add(gap) }
        }
        guard let end = piece?.end else {
            if let piece { sequence.queued.answer.add(piece) }
            return
        }
        // The sequence is free, and the figures say so, before the reader sees the end: a request may follow at once.
        leave(sequence, end.reason == .stop ? .stop : .length, keeps: true)
        updateMeter()
        sequence.queued.answer.add(piece!)
    }

    /// An error ends the one sequence that it concerns.
    func attempt(_ sequence: ServedSequence, _ body: () throws -> Void) {
        do { try body() } catch { end(sequence, error: ServingError(error)) }
    }

    private func updateMeter() {
        let (kept, used) = (caches.keptCount, caches.usedBytes)
        let owners = Dictionary(uniqueKeysWithValues: sequences.map { ($0.slot.index, $0) })
        let states = caches.slots.map { $0.state(owners[$0.index]) }
        meter.update {
            $0.keptConversations = kept
            $0.cacheBytesUsed = used
            $0.slots = states
        }
    }
}
