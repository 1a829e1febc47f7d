#if Server
public import Foundation
public import Ggml
public import MorphKV

/// A folder of models that one server runs, each when it is asked for, as many at a time as there is memory for.
public struct ModelFolder: Sendable {
    /// The folder; every file in it whose name ends with `.gguf` and that is not a calibration, a context or a saved session is
    /// a model, by its name without that; one in folders of the folder by `publisher/model/name`.
    public var url: URL
    /// The model of requests that name none; it need not be in the folder.
    public var usual: URL?
    /// Bytes that the whole process is to stay below; what the largest model needs, and what is there anyway, if nil.
    public var memory: Int?
    /// How long a model stays in memory that nobody asks for; nil for as long as no other needs its room.
    public var idleTime: Duration? = .seconds(600)
    /// How long a request waits for the answers of other models to end, whose room its own needs.
    public var waitTime = Duration.seconds(120)
    /// Requests that may wait for their models.
    public var queueLimit = 64
    /// How models are read: without a calibration they have the one beside them.
    public var reading = Reading()
    /// What a model's scheduler may use. Asked when the server starts, of models whose weights are not there, and when one is
    /// loaded.
    public var options: @Sendable (Model) throws -> ServingOptions

    /// How the files are read; see `Model`.
    public struct Reading: Sendable {
        /// Where to compute, in the order in which they get layers; the CPU if there is none.
        public var devices: [Device]
        /// The devices' shares of the layers; in proportion to free memory if nil.
        public var split: [Double]?
        /// The longest context that will be used.
        public var contextLength: Int?
        /// Whether weights are copied into a faster layout.
        public var repacks: Bool

        /// Creates a way to read.
        public init(
            devices: [Device] = [], split: [Double]? = nil, contextLength: Int? = nil, repacks: Bool = true
        ) {
            self.devices = devices
            self.split = split
            self.contextLength = contextLength
            self.repacks = repacks
        }
    }

    /// Creates a folder with the defaults of the command `morphkv serve`.
    public init(_ url: URL, options: @escaping @Sendable (Model) throws -> ServingOptions) {
        self.url = url
        self.options = options
    }
}

/// The memory of the models of a folder.
public struct FolderMemory: Sendable, Hashable {
    /// A model of the folder.
    public struct Entry: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Bytes that it takes at most while it is loaded; nil if it cannot be used.
        public let bytes: Int?
        /// Why it cannot be used.
        public let problem: String?
    }

    /// All models, by name.
    public let models: [Entry]
    /// Bytes that all loaded models take together at most.
    public let room: Int
}
#endif
