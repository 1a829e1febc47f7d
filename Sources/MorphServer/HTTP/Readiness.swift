#if Server
internal import Synchronization

/// Whether the server takes requests.
final class Readiness: Sendable {
    /// What it is doing; raw values are what `/health` says.
    enum State: String, Sendable {
        case warmingUp = "warming up"
        case ready = "ok"
        case ending = "shutting down"
    }

    private let value = Mutex(State.ready)

    var state: State { value.withLock { $0 } }

    /// Says that it is busy with itself.
    func warmUp() { value.withLock { $0 = .warmingUp } }

    /// Says that it is ready, unless it is ending by now.
    func begin() { value.withLock { $0 = $0 == .ending ? .ending : .ready } }

    func end() { value.withLock { $0 = .ending } }
}
#endif
