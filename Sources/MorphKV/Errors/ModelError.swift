/// Why a model cannot be used.
public struct ModelError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// The file's architecture is not one of ``Model/architectures``.
        case unknownArchitecture
        /// A key that the architecture needs is missing, or its value makes no sense.
        case metadata
        /// A tensor that the architecture needs is missing.
        case missingTensor
        /// A tensor has another shape or type than the metadata says.
        case wrongShape
        /// The model needs something this version does not do.
        case unsupported
        /// The file's tokenizer is missing or broken.
        case tokenizer
        /// The file's chat template is missing or unknown to libllama.
        case chatTemplate
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person, naming the key or tensor concerned.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
