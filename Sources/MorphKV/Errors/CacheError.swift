/// Why a cache cannot be made or used.
public struct CacheError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// The policy's parameters contradict each other.
        case invalidPolicy
        /// There is no policy of that name, or it has no such parameter.
        case unknownPolicy
        /// The cache's element type cannot be used.
        case elementType
        /// The device cannot compute attention in the way that was asked for.
        case attention
        /// A token id is not in the vocabulary.
        case invalidToken
        /// A policy needs a calibration of the model, and there is none, or it is not the model's, or damaged.
        case calibration
        /// Positions cannot be kept within the limit that was asked for.
        case positions
        /// There is nothing to process.
        case emptyPrompt
        /// Tokens cannot be pinned, or not that many.
        case pins
        /// The bytes that a cache may take are too few for it.
        case bytes
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person, with the numbers concerned.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
