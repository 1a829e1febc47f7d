internal import CLlama
internal import Logging
import Synchronization

/// Routes the messages of ggml and libllama to swift-log, label "ggml".
///
/// Quiet by default: only errors pass. Called by everything that may make the C libraries speak.
package enum Log {
    private static let logger: Logger = {
        var logger = Logger(label: "ggml")
        logger.logLevel = .error
        return logger
    }()
    private static let verbosity = Mutex(Logger.Level.error)

    /// Lets messages of lower levels pass, for debugging a file that does not load.
    package static func setVerbose(_ verbose: Bool) {
        redirect()
        verbosity.withLock { $0 = verbose ? .debug : .error }
    }

    package static func redirect() { _ = redirected }

    private static let redirected: Void = {
        ggml_log_set({ level, text, _ in Log.write(level, text) }, nil)
        llama_log_set({ level, text, _ in Log.write(level, text) }, nil)
    }()

    private static func write(_ level: ggml_log_level, _ text: UnsafePointer<CChar>?) {
        guard let text else { return }
        let logLevel: Logger.Level =
            switch level {
            case GGML_LOG_LEVEL_ERROR: .error
            case GGML_LOG_LEVEL_WARN: .warning
            case GGML_LOG_LEVEL_INFO: .info
            default: .debug
            }
        let threshold = verbosity.withLock { $0 }
        guard logLevel >= threshold else { return }
        var logger = logger
        logger.logLevel = threshold
        var message = String(cString: text)
        while message.last?.isNewline == true { message.removeLast() }
        if !message.isEmpty { logger.log(level: logLevel, "\(message)") }
    }
}
