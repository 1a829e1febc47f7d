#if Server
internal import Synchronization

/// Whether the server takes requests.
final class Readiness: Sendable {
    private let state = Mutex(true)

    var isReady: Bool { state.withLock { $0 } }

    func end() { state.withLock { $0 = false } }
}
#endif
