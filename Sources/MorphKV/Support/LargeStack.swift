internal import Foundation
internal import Synchronization

/// Runs what recurses over something that others wrote, and deeper than the stack of any thread may be.
enum LargeStack {
    private static let bytes = 64 << 20

    private final class Job<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
    }

    /// Runs a body on a thread of its own and waits for it.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let job = Job<Value>()
        let thread = Thread {
            let result = Result { try body() }
            job.result.withLock { $0 = result }
            job.done.signal()
        }
        thread.stackSize = bytes
        thread.start()
        job.done.wait()
        guard let result = job.result.withLock({ $0 }) else { preconditionFailure("the thread says when it is done") }
        return try result.get()
    }
}
