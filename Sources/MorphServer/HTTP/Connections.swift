#if Server
internal import NIOCore
internal import Synchronization

/// What to do when a connection is closed, for all connections.
final class Connections: Sendable {
    private struct State {
        var watchers: [ObjectIdentifier: [Int: @Sendable () -> Void]] = [:]
        var last = 0
    }

    private let state = Mutex(State())

    /// A watch that was set up; see ``Connections/end(_:)``.
    struct Watch: Sendable {
        fileprivate let channel: ObjectIdentifier
        fileprivate let number: Int
    }

    /// Calls something when a connection is closed, at once if it already is.
    func watch(_ channel: any Channel, _ action: @escaping @Sendable () -> Void) -> Watch {
        let id = ObjectIdentifier(channel)
        let watch = state.withLock { state in
            state.last += 1
            state.watchers[id, default: [:]][state.last] = action
            return Watch(channel: id, number: state.last)
        }
        if !channel.isActive { closed(channel) }
        return watch
    }

    /// Ends a watch, whose request is answered.
    func end(_ watch: Watch) {
        state.withLock { state in
            state.watchers[watch.channel]?[watch.number] = nil
            if state.watchers[watch.channel]?.isEmpty == true { state.watchers[watch.channel] = nil }
        }
    }

    /// Calls what was set up for a connection.
    func closed(_ channel: any Channel) {
        let actions = state.withLock { $0.watchers.removeValue(forKey: ObjectIdentifier(channel)) }
        for action in (actions ?? [:]).values { action() }
    }
}
#endif
