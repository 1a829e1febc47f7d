public import Foundation

/// Answers many requests at a time with one model, in memory that is fixed at the start.
///
/// Batching is continuous: requests join and leave between steps. Prefill is chunked: prompts are fed in parts, one
/// between two steps, so a running answer never waits for more than that. It computes on a thread of its own, never on
/// Swift's cooperative pool. What an answer says does not depend on what else is computed, with one exception that is
/// meant: the caches of ended answers are a prefix cache, and a request whose prompt begins with all that one of them
/// has seen continues from it, compressed as it is.
public final class Scheduler: Sendable {
    /// The model it runs.
    public let model: Model
    /// What it may use.
    public let options: ServingOptions
    /// What it allocated.
    public let memory: ServingMemory
    private let queue: RequestQueue
    private let meter = ServingMeter()
    let limits: ServingLimits
    let contexts: ContextStore
    /// For each file in the folder of contexts that is not one of this model, or that does not fit, why; in one sentence.
    public let skippedContexts: [String]
    private let clock = ContinuousClock()
    private let finished = DispatchGroup()

    /// Allocates everything that will be needed, and starts the computing thread.
    ///
    /// - Throws: ``ServingError`` or ``CacheError`` when the options make no sense, `GgmlError` when memory is short.
    public init(_ model: Model, _ options: ServingOptions) throws {
        self.model = model
        var options = options
        // Sequences behind contexts attend as all others do.
        for name in options.contexts.keys { options.contexts[name]!.attention = options.cache.attention }
        self.options = options
        let queue = RequestQueue(limit: options.queueLimit, parallel: options.parallel)
        self.queue = queue
        contexts = ContextStore(model, options, queue: queue)
        limits = try ServingLimits(model, options, contexts)
        skippedContexts = try contexts.load(limits.check)
        // From here on only the new thread touches it.
        nonisolated(unsafe) var loop: ServingLoop? = try ServingLoop(
            model, options, limits, contexts, queue: queue, meter: meter)
        memory = loop!.memory
        let finished = finished
        finished.enter()
        let thread = Thread {
            loop?.run()
            // All that was allocated goes before anybody is told.
            loop = nil
            finished.leave()
        }
        thread.name = "morphkv.serving"
        thread.start()
    }

    deinit { queue.stop() }

    /// What it has done so far and does at present.
    public var statistics: ServingStatistics {
        var statistics = meter.statistics
        (statistics.waiting, statistics.running) = queue.counts
        return statistics
    }

    /// The most tokens that an answer can have after a prompt.
    public func maxTokens(afterPrompt tokens: Int, cache: CacheOptions? = nil) -> Int {
        limits.maxTokens(afterPrompt: tokens, cache ?? options.cache)
    }

    /// How many tokens of a sequence can be pinned; nil if everything stays anyway, 0 if none can.
    ///
    /// - Parameters:
    ///   - cache: the cache that a request asks for; the scheduler's own if nil.
    ///   - context: the name of the context that the request follows.
    /// - Throws: ``CacheError`` when the policy cannot be honoured.
    public func pinRoom(_ cache: CacheOptions? = nil, after context: String? = nil) throws -> Int? {
        try contexts.require(context)
        return try limits.pinRoom(of: ServingRequest(prompt: [], after: context, cache: cache)).tokens
    }

    /// Tokens of the model's trained context that a prompt leaves for the answer; none or fewer than none if it is longer.
    ///
    /// - Parameters:
    ///   - tokens: the prompt's.
    ///   - context: the name of the context that the prompt follows.
    public func trainedRoom(afterPrompt tokens: Int, after context: String? = nil) -> Int {
        limits.trainedRoom(afterPrompt: tokens, after: context)
    }

    /// Bytes of a cache that a request asks for; more than ``ServingMemory/cachePerSequence`` are refused.
    ///
    /// - Parameters:
    ///   - cache: what the request asks for.
    ///   - context: the name of the context that the request follows.
    /// - Throws: ``CacheError`` when the policy cannot be honoured.
    public func cacheBytes(_ cache: CacheOptions, after context: String? = nil) throws -> Int {
        try contexts.require(context)
        return try limits.bytes(of: ServingRequest(prompt: [], after: context, cache: cache))
    }

    /// Queues requests: all of them or none.
    ///
    /// - Returns: the answers, in the same order.
    /// - Throws: ``ServingError`` when a request breaks a limit, too many wait, or the scheduler is closed;
    ///   ``CacheError`` or ``GenerationError`` for options that make no sense.
    public func submit(_ requests: [ServingRequest]) throws -> [AnswerStream] {
        let requests = try requests.map { request in
            var request = request
            request.use = try request.context.map(contexts.use)
            try limits.check(request)
            return request
        }
        guard requests.count <= options.parallel + options.queueLimit else {
            throw ServingError(
                .invalidRequest,
                "\(requests.count) answers at once; \(options.parallel + options.queueLimit) are possible here")
        }
        let now = clock.now
        let queued = requests.map { request in
            QueuedRequest(
                request: request, answer: AnswerBuffer(wake: { [queue] in queue.wake() }), submitted: now,
                deadline: now + options.timeLimit)
        }
        try queue.submit(queued, retryAfter: retryAfter)
        return queued.map { AnswerStream($0.answer) }
    }

    /// How long requests take at present, which is when one that does not fit into the queue may try again.
    private func retryAfter() -> Duration {
        let seconds = meter.statistics.requestSeconds
        let count = seconds.counts.reduce(0, +)
        let mean = count > 0 ? seconds.sum / Double(count) : 1
        return .seconds(min(60, max(1, mean.rounded(.up))))
    }

    /// What its slots do.
    public var slots: [ServingSlotState] { meter.statistics.slots }

    // MARK: Slots on disk

    /// Writes what a slot has seen to a file, as soon as the slot is free.
    ///
    /// - Returns: the tokens, and the file's bytes.
    /// - Throws: ``ServingError`` if there is no such slot or it holds nothing that can be saved, `GgmlError` if the file
    ///   cannot be written.
    public func saveSlot(_ slot: Int, to url: URL) async throws -> (tokens: Int, bytes: Int) {
        let tokens = try await work(on: slot) { try $0.save($0.slots[slot], to: url) }
        return (tokens, Self.size(of: url))
    }

    /// Puts what was saved into a slot, in place of what it has seen, as soon as the slot is free.
    ///
    /// - Returns: the tokens, and the file's bytes.
    /// - Throws: ``ServingError`` if there is no such slot or the file is of another policy, ``SavedCacheError`` if it is
    ///   damaged or another model's; the slot is then empty.
    public func restoreSlot(_ slot: Int, from url: URL) async throws -> (tokens: Int, bytes: Int) {
        let tokens = try await work(on: slot) { try $0.restore($0.slots[slot], from: url) }
        return (tokens, Self.size(of: url))
    }

    /// Lets a slot forget what it has seen, as soon as it is free.
    ///
    /// - Returns: the tokens.
    /// - Throws: ``ServingError`` if there is no such slot.
    public func eraseSlot(_ slot: Int) async throws -> Int {
        try await work(on: slot) { caches in
            defer { caches.slots[slot].clear() }
            return caches.slots[slot].fed.count
        }
    }

    /// Forgets what was asked for so far, kept conversations and statistics, as if it had just begun.
    package func forgetHistory() async {
        for slot in 0..<options.parallel + options.spareCaches { _ = try? await eraseSlot(slot) }
        meter.update { statistics in
            var fresh = ServingStatistics()
            (fresh.cacheBytesPlanned, fresh.slots) = (statistics.cacheBytesPlanned, statistics.slots)
            statistics = fresh
        }
    }

    private func work(on slot: Int, _ body: @escaping @Sendable (ServingCaches) throws -> Int) async throws -> Int {
        guard slot >= 0, slot < options.parallel + options.spareCaches else {
            throw ServingError(.invalidRequest, "there is no slot \(slot)")
        }
        return try await withCheckedThrowingContinuation { continuation in
            let task = SlotTask(slot: slot, deadline: clock.now + options.timeLimit, body: body, continuation)
            do { try queue.submit(task) } catch { task.fail(ServingError(error)) }
        }
    }

    private static func size(of url: URL) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: url.path)[.size] as? Int) ?? 0
    }

    // MARK: Ending

    /// Takes no more requests; those that are waiting or running go on.
    public func close() { queue.close() }

    /// Whether nothing runs and nothing waits.
    public var isIdle: Bool { queue.counts == (0, 0) }

    /// Ends the computing thread after its present step; whatever has not ended by then fails, and the memory of caches and
    /// intermediate results is given back.
    public func stop() async {
        queue.stop()
        await withCheckedContinuation { continuation in
            finished.notify(queue: .global()) { continuation.resume() }
        }
    }
}
