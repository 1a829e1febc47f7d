internal import Foundation
internal import Synchronization

/// A thread for work that takes too long, or too much stack, for Swift's cooperative pool: tokenizers recurse.
package final class Worker: Sendable {
    private final class Jobs: Sendable {
        let waiting = Mutex<[@Sendable () -> Void]>([])
        let semaphore = DispatchSemaphore(value: 0)

        func add(_ job: @escaping @Sendable () -> Void) {
            waiting.withLock { $0.append(job) }
            semaphore.signal()
        }

        /// The next job; nil when no more will come.
        func next() -> (@Sendable () -> Void)? {
            semaphore.wait()
            return waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        }
    }

    private let jobs = Jobs()

    package init(_ name: String) {
        let thread = Thread { [jobs] in
            while let job = jobs.next() { job() }
        }
        thread.name = name
        thread.stackSize = 16 << 20
        thread.start()
    }

    deinit { jobs.semaphore.signal() }

    /// Runs something on the thread, after what was asked for before.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            jobs.add { continuation.resume(with: Result { try body() }) }
        }
    }

    /// Has something run on the thread, after what was asked for before, and does not wait.
    package func start(_ body: @escaping @Sendable () -> Void) { jobs.add(body) }
}
