internal import Synchronization

/// A sequence's hold on a context: as long as it lasts, the context stays in memory.
final class ContextUse: Sendable {
    /// What tells the context from others that had its name before.
    let id: String
    private let held: Mutex<CompressedContext?>
    private let onRelease: @Sendable () -> Void

    init(_ context: CompressedContext, id: String, onRelease: @escaping @Sendable () -> Void = {}) {
        self.id = id
        self.onRelease = onRelease
        held = Mutex(context)
    }

    deinit { release() }

    /// The context; nil once it is released.
    var context: CompressedContext? { held.withLock { $0 } }

    /// Gives it up; a second time nothing happens.
    func release() {
        let wasHeld = held.withLock { held in
            defer { held = nil }
            return held != nil
        }
        if wasHeld { onRelease() }
    }
}
