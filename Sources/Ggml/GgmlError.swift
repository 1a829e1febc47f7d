/// What can go wrong between Swift and ggml.
///
/// ggml itself answers most mistakes by aborting the process, so everything that depends on user
/// input is checked before ggml sees it and reported as one of these.
public struct GgmlError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// A file could not be opened, read or written.
        case file
        /// A file is not a well-formed GGUF file.
        case format
        /// A GGUF key is missing or has another type than expected.
        case metadata
        /// Memory could not be had.
        case memory
        /// A device does not exist or cannot execute an operation.
        case device
        /// A computation failed.
        case compute
        /// A machine whose devices are used went away.
        case lost
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person, naming the file, key or device concerned.
    public let description: String

    /// Creates an error.
    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
