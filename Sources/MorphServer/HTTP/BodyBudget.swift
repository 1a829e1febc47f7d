#if Server
internal import Synchronization

/// Lets only so many bytes of large bodies be in memory at a time; first come, first served.
///
/// A request that has to wait does not read its body, and so its client does not send it.
final class BodyBudget: Sendable {
    /// Bodies up to this size belong to what every connection may have.
    static let small = 16 << 10

    private typealias Turn = CheckedContinuation<Void, any Error>

    private struct State {
        var free: Int
        var waiting: [(id: Int, bytes: Int, turn: Turn)] = []
        var lastID = 0
        /// Requests whose task was cancelled before they entered the queue.
        var cancelled: Set<Int> = []

        /// Removes the first requests in the queue, as far as there is room, and takes their share.
        mutating func admit() -> [Turn] {
            var admitted: [Turn] = []
            while let next = waiting.first, next.bytes <= free {
                free -= next.bytes
                admitted.append(waiting.removeFirst().turn)
            }
            return admitted
        }
    }

    private let state: Mutex<State>
    private let capacity: Int

    /// - Parameter capacity: bytes that all bodies together may have.
    init(capacity: Int) {
        self.capacity = capacity
        state = Mutex(State(free: capacity))
    }

    /// Runs something that keeps a body in memory.
    ///
    /// - Parameter bytes: the most that the body may have.
    /// - Throws: `CancellationError` when the task is cancelled while it waits, and whatever `body` throws.
    func run<Value: Sendable>(_ bytes: Int, _ body: () async throws -> Value) async throws -> Value {
        guard bytes > Self.small else { return try await body() }
        let share = min(bytes, capacity)
        try await take(share)
        defer { add(share) }
        return try await body()
    }

    /// A part of the room, until nobody refers to it.
    final class Share: Sendable {
        private let budget: BodyBudget
        private let bytes: Int

        fileprivate init(_ budget: BodyBudget, _ bytes: Int) { (self.budget, self.bytes) = (budget, bytes) }

        deinit { budget.add(bytes) }
    }

    /// Room for a body that is kept for a while; nil for a small one.
    ///
    /// - Throws: `CancellationError` when the task is cancelled while it waits.
    func share(_ bytes: Int) async throws -> Share? {
        guard bytes > Self.small else { return nil }
        try await take(min(bytes, capacity))
        return Share(self, min(bytes, capacity))
    }

    private func take(_ bytes: Int) async throws {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (turn: Turn) in
                let admitted: [Turn]? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return nil }
                    state.waiting.append((id, bytes, turn))
                    return state.admit()
                }
                if admitted == nil { turn.resume(throwing: CancellationError()) }
                for turn in admitted ?? [] { turn.resume() }
            }
        } onCancel: {
            cancel(id)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
    }

    private func cancel(_ id: Int) {
        let (gone, admitted): (Turn?, [Turn]) = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return (nil, [])
            }
            let gone = state.waiting.remove(at: index).turn
            return (gone, state.admit())
        }
        gone?.resume(throwing: CancellationError())
        for turn in admitted { turn.resume() }
    }

    private func add(_ bytes: Int) {
        let admitted = state.withLock { state in
            state.free += bytes
            return state.admit()
        }
        for turn in admitted { turn.resume() }
    }
}
#endif
