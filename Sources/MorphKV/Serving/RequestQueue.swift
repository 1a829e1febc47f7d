internal import Foundation

/// A request with its answer's buffer and its times.
struct QueuedRequest: Sendable {
    let request: ServingRequest
    let answer: AnswerBuffer
    let submitted: ContinuousClock.Instant
    let deadline: ContinuousClock.Instant
}

/// The requests that wait for the computing thread: first come, first served, and bounded.
final class RequestQueue: @unchecked Sendable {
    // Sound: every access to what changes is under the condition's lock.
    private let condition = NSCondition()
    private let limit: Int
    private let parallel: Int
    private var waiting: [QueuedRequest] = []
    private var tasks: [SlotTask] = []
    private var work: [@Sendable (ServingCaches) -> Void] = []
    /// Sequences that are free for requests.
    private var free: Int
    private var isClosed = false
    private var isStopped = false
    /// Whether something changed since the computing thread last looked.
    private var hasChanged = false

    init(limit: Int, parallel: Int) {
        self.limit = limit
        self.parallel = parallel
        free = parallel
    }

    private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        condition.lock()
        defer { condition.unlock() }
        return try body()
    }

    // MARK: Any thread

    /// Requests that wait, and those that have a sequence.
    var counts: (waiting: Int, running: Int) { locked { (waiting.count, parallel - free) } }

    /// Takes all of the requests or none.
    func submit(_ requests: [QueuedRequest], retryAfter: () -> Duration) throws {
        try locked {
            guard !isClosed else { throw ServingError(.shuttingDown, "the server is shutting down") }
            guard waiting.count + requests.count <= limit + free else {
                throw ServingError(
                    .queueFull, "\(waiting.count) requests are waiting already; try again later",
                    retryAfter: retryAfter())
            }
            waiting += requests
            hasChanged = true
            condition.signal()
        }
    }

    /// Takes work on a slot, as long as it is not stopped and not too much waits.
    func submit(_ task: SlotTask) throws {
        try locked {
            guard !isClosed else { throw ServingError(.shuttingDown, "the server is shutting down") }
            guard tasks.count <= limit else {
                throw ServingError(
                    .queueFull, "\(tasks.count) slots are waited for already; try again later", retryAfter: .seconds(1))
            }
            tasks.append(task)
            hasChanged = true
            condition.signal()
        }
    }

    /// Has something done by the computing thread between two steps.
    ///
    /// - Returns: false if it will not be, because the thread is ending.
    func submit(_ body: @escaping @Sendable (ServingCaches) -> Void) -> Bool {
        locked {
            guard !isStopped else { return false }
            work.append(body)
            hasChanged = true
            condition.signal()
            return true
        }
    }

    /// Makes the computing thread look for what changed.
    func wake() {
        locked {
            hasChanged = true
            condition.signal()
        }
    }

    /// Takes no more requests from now on.
    func close() { locked { isClosed = true } }

    /// Ends the computing thread as soon as its present step is over.
    func stop() {
        locked {
            isClosed = true
            isStopped = true
            condition.signal()
        }
    }

    // MARK: The computing thread

    /// The oldest request that can begin, which gets one of the free sequences.
    func take(where canBegin: (QueuedRequest) -> Bool) -> QueuedRequest? {
        locked {
            guard free > 0, let index = waiting.firstIndex(where: canBegin) else { return nil }
            free -= 1
            return waiting.remove(at: index)
        }
    }

    /// Removes and returns the tasks that fit a condition.
    func takeTasks(where fits: (SlotTask) -> Bool) -> [SlotTask] {
        locked {
            let taken = tasks.filter(fits)
            if !taken.isEmpty { tasks.removeAll(where: fits) }
            return taken
        }
    }

    /// Removes and returns what is to be done between two steps.
    func takeWork() -> [@Sendable (ServingCaches) -> Void] {
        locked {
            defer { work = [] }
            return work
        }
    }

    /// Whether the thread should go on.
    var isRunning: Bool { locked { !isStopped } }

    /// Gives back the sequence of a request that was taken.
    func release() { locked { free += 1 } }

    /// Removes and returns the waiting requests that fit a condition.
    func remove(where fits: (QueuedRequest) -> Bool) -> [QueuedRequest] {
        locked {
            let removed = waiting.filter(fits)
            if !removed.isEmpty { waiting.removeAll(where: fits) }
            return removed
        }
    }

    /// Returns at once if there is work, else as soon as something changes, but after a quarter of a second at the
    /// latest, because time limits are to be checked.
    ///
    /// - Parameters:
    ///   - hasWork: whether some sequence can go on.
    ///   - canBegin: whether a request can begin if a sequence is free.
    /// - Returns: whether the thread should go on.
    func wait(hasWork: Bool, canBegin: (QueuedRequest) -> Bool) -> Bool {
        locked {
            let soon = Date(timeIntervalSinceNow: 0.25)
            while !isStopped, !hasWork, !hasChanged, !(free > 0 && waiting.contains(where: canBegin)) {
                guard condition.wait(until: soon) else { break }
            }
            hasChanged = false
            return !isStopped
        }
    }
}
