#if Server
internal import Logging
internal import Synchronization

/// Something that the log says once.
final class OneTimeWarning: Sendable {
    private let logger: Logger
    private let isSaid = Mutex(false)

    init(_ logger: Logger) { self.logger = logger }

    /// Says it, if it was not said yet.
    func say(_ text: @autoclosure () -> String) {
        let isFirst = isSaid.withLock { said in
            defer { said = true }
            return !said
        }
        if isFirst { logger.warning("\(text())") }
    }
}
#endif
