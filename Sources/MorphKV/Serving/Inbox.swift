internal import Foundation

/// A request on its way to the computing thread.
struct Ticket: Sendable {
    let request: ServingRequest
    let outbox: Outbox
    let submitted: ContinuousClock.Instant
    let deadline: ContinuousClock.Instant
}

/// The queue between those who ask and the computing thread: first come, first served, and bounded.
final class Inbox: @unchecked Sendable {
    // Sound: every access to what changes is under the condition's lock.
    private let condition = NSCondition()
    private let queueLimit: Int
    private let parallel: Int
    private var waiting: [Ticket] = []
    /// Sequences that are free for requests.
    private var free: Int
    private var isClosed = false
    private var isStopped = false
    private var hasNews = false

    init(queueLimit: Int, parallel: Int) {
        self.queueLimit = queueLimit
        self.parallel = parallel
        free = parallel
    }

    private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        condition.lock()
        defer { condition.unlock() }
        return try body()
    }

    // MARK: Those who ask

    /// Requests that wait, and those that have a sequence.
    var counts: (waiting: Int, running: Int) { locked { (waiting.count, parallel - free) } }

    /// Takes all of the tickets or none.
    func submit(_ tickets: [Ticket], retryAfter: () -> Duration) throws {
        try locked {
            guard !isClosed else { throw ServingError(.shuttingDown, "the server is shutting down") }
            guard waiting.count + tickets.count <= queueLimit + free else {
                throw ServingError(
                    .queueFull, "\(waiting.count) requests are waiting already; try again later",
                    retryAfter: retryAfter())
            }
            waiting += tickets
            hasNews = true
            condition.signal()
        }
    }

    /// Makes the computing thread look around.
    func wake() {
        locked {
            hasNews = true
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

    /// The oldest ticket, for which a free sequence is used up.
    func take() -> Ticket? {
        locked {
            guard free > 0, !waiting.isEmpty else { return nil }
            free -= 1
            return waiting.removeFirst()
        }
    }

    /// Gives back the sequence of a ticket that was taken.
    func release() { locked { free += 1 } }

    /// Removes and returns the waiting tickets that fit a condition.
    func remove(where fits: (Ticket) -> Bool) -> [Ticket] {
        locked {
            let removed = waiting.filter(fits)
            if !removed.isEmpty { waiting.removeAll(where: fits) }
            return removed
        }
    }

    /// Returns at once if there is work, else as soon as something changes or after a quarter of a second, when time
    /// limits want to be looked at.
    ///
    /// - Parameter hasWork: whether some sequence can go on.
    /// - Returns: whether the thread should go on.
    func wait(hasWork: Bool) -> Bool {
        locked {
            let soon = Date(timeIntervalSinceNow: 0.25)
            while !isStopped, !hasWork, !hasNews, !(free > 0 && !waiting.isEmpty) {
                guard condition.wait(until: soon) else { break }
            }
            hasNews = false
            return !isStopped
        }
    }
}
