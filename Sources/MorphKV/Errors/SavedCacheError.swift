/// Why a saved context or session cannot be used.
public struct SavedCacheError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// It is not a file of a saved cache, or of the other kind.
        case notACache
        /// A newer version of this package wrote it.
        case newerVersion
        /// It was made with another model.
        case otherModel
        /// It is cut off, altered, or contradicts itself.
        case damaged
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person, naming the file.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
