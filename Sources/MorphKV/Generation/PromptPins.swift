/// Which of a prompt's tokens are pinned: never evicted, as long as the sequence lasts.
///
/// Needs a cache that was made for pins (``CacheOptions/pins``). Under policies that keep everything nothing changes.
public enum PromptPins: Sendable, Hashable {
    /// None.
    case none
    /// All.
    case whole
    /// Those in these ranges, which count from the prompt's first token; in any order, and they may overlap. A text's first
    /// token is the one that the model expects before any text (BOS), where there is one and nothing was said before.
    case ranges([Range<Int>])

    /// The ranges in a prompt of so many tokens.
    ///
    /// - Throws: ``CacheError`` of kind `pins` if some lie outside of it.
    func positions(in prompt: Int) throws -> PinnedPositions {
        switch self {
        case .none: return PinnedPositions()
        case .whole: return PinnedPositions([0..<prompt])
        case .ranges(let ranges):
            if let range = ranges.first(where: { $0.lowerBound < 0 || $0.upperBound > prompt }) {
                throw CacheError(.pins, "the tokens \(range) cannot be pinned in a prompt of \(prompt)")
            }
            return PinnedPositions(ranges)
        }
    }
}

extension Engine {
    /// Feeds a prompt, of which some tokens are pinned; see ``prefill(_:continuesFirstPrompt:wantsAllLogits:foresight:)``.
    ///
    /// - Parameter pins: counted from the first of the tokens.
    /// - Throws: ``CacheError`` of kind `pins` if they do not fit, the sequence being as before.
    func prefill(_ tokens: [Token], pinning pins: PinnedPositions) throws {
        try cache.pin(pins.shifted(by: seen))
        do { try prefill(tokens) } catch {
            cache.dropUnreachedPins()
            throw error
        }
    }
}
