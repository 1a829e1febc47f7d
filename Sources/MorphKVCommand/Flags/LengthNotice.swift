internal import Foundation
internal import MorphKV

/// Says once that a sequence is longer than every text from which its policy knows the model.
struct LengthNotice {
    private var isSaid = false

    /// - Throws: an error if standard error cannot be written.
    mutating func check(_ session: Session) async throws {
        let tokens = await session.statistics.tokensSeen
        guard !isSaid, let longest = await session.cacheOptions.policy.calibratedLength, tokens > longest else {
            return
        }
        isSaid = true
        try Output.write(
            "note: the sequence has \(tokens) tokens; the calibration is of texts of up to \(longest), and what is kept "
                + "beyond that is a guess\n", to: .standardError)
    }
}
