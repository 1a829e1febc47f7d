/// Holds tokens with their probabilities back until their text is certain, as ``TextStream`` does with the text.
struct ScoredTokenStream {
    private var heldBack: [(token: ScoredToken, start: Int)] = []
    private var appendedBytes = 0
    private var releasedBytes = 0

    /// Adds the next token.
    ///
    /// - Parameter byteCount: bytes of its text.
    mutating func append(_ token: ScoredToken, byteCount: Int) {
        heldBack.append((token, appendedBytes))
        appendedBytes += byteCount
    }

    /// The tokens whose text is, at least in part, among what is certain by now.
    ///
    /// - Parameter text: what became certain with the last token.
    mutating func release(with text: String) -> [ScoredToken] {
        releasedBytes += text.utf8.count
        let count = releasedBytes >= appendedBytes ? heldBack.count : heldBack.prefix { $0.start < releasedBytes }.count
        defer { heldBack.removeFirst(count) }
        return heldBack.prefix(count).map(\.token)
    }

    /// What was held back until the end.
    mutating func finish() -> [ScoredToken] {
        defer { heldBack = [] }
        return heldBack.map(\.token)
    }
}
