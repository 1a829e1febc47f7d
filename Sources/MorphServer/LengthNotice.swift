#if Server
internal import Logging
internal import MorphKV

/// Says once, in the log, that a sequence was longer than every text from which its policy knows the model.
struct LengthNotice: Sendable {
    private let warning: OneTimeWarning

    init(_ logger: Logger) { warning = OneTimeWarning(logger) }

    /// Looks at how an answer ended.
    func check(_ end: ServingPiece.End) {
        let tokens = end.promptTokens + end.tokens
        guard let longest = end.calibratedLength, tokens > longest else { return }
        warning.say(
            "a sequence had \(tokens) tokens; the calibration is of texts of up to \(longest), and what is kept beyond that is a guess"
        )
    }
}
#endif
