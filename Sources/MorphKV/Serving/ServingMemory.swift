/// The memory that a scheduler takes, all of it at its start.
public struct ServingMemory: Sendable, Hashable {
    /// Bytes of the weights, which are mapped and not copied on the CPU.
    public let weights: Int
    /// Bytes of the caches of all sequences.
    public let caches: Int
    /// Bytes of one sequence's cache.
    public let cachePerSequence: Int
    /// Bytes of intermediate results, of the largest step and the largest part of a prompt.
    public let compute: Int

    /// Bytes in all.
    public var total: Int { weights + caches + compute }
}
