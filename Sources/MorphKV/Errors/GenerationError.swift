/// Why text cannot be generated.
public struct GenerationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// An option is out of range.
        case invalidOption
        /// The session is already generating.
        case busy
        /// The model has no tokenizer, so it cannot be used with text.
        case noTokenizer
        /// The model computed something that is not a number.
        case badLogits
        /// A grammar makes no sense, a schema gives none, or nothing in the vocabulary continues a text that keeps to it.
        case grammar
        /// The answer was to be whole, and was not within the tokens that it had.
        case cutShort
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
