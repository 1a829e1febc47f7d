#if Server
internal import Logging
internal import MorphKV
internal import Synchronization

/// Says once, in the log, that a sequence was longer than every text from which its policy knows the model.
final class LengthNotice: Sendable {
    private let logger: Logger
    private let isSaid = Mutex(false)

    init(_ logger: Logger) { self.logger = logger }

    /// Looks at how an answer ended.
    func check(_ end: ServingPiece.End) {
        let tokens = end.promptTokens + end.tokens
        guard let longest = end.calibratedLength, tokens > longest else { return }
        let isFirst = isSaid.withLock { said in
            defer { said = true }
            return !said
        }
        guard isFirst else { return }
        logger.warning(
            "a sequence had \(tokens) tokens; the calibration is of texts of up to \(longest), and what is kept beyond that is a guess"
        )
    }
}
#endif
