/// The memory that a scheduler takes.
public struct ServingMemory: Sendable, Hashable {
    /// Bytes of the weights, which are partly mapped from the file on the CPU.
    public let weights: Int
    /// Bytes of the caches of all sequences.
    public let caches: Int
    /// Bytes of one sequence's cache.
    public let cachePerSequence: Int
    /// Bytes of the contexts, which lie in memory or in mapped files once, however many sequences follow them.
    public let contexts: Int
    /// Bytes of the model's calibration, which all sequences share; 0 if it has none.
    public let calibration: Int
    /// Bytes of intermediate results, of the largest step and the largest part of a prompt.
    public let compute: Int
    /// Bytes that the tokens of waiting and running requests take at most; they come and go.
    public let requests: Int
    /// Bytes that contexts take at most which come while requests are answered; they come and go.
    public let contextRoom: Int
    /// Bytes that compressing the longest text takes; they come and go.
    public let compression: Int

    /// Whether all this is memory of the process, not of a device.
    public let isHost: Bool

    /// Bytes that are allocated at the start.
    public var total: Int { weights + caches + contexts + calibration + compute }
}
