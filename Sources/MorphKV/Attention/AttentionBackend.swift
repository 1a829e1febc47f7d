internal import Ggml

/// One way to compute attention while an answer is written, behind which engines, batches and contexts see no other.
///
/// The implementations are ``FusedBackend`` (one kernel over memory of the host) and ``GraphBackend`` (ggml's operations,
/// on any device); ``ModelRunner`` chooses.
protocol AttentionBackend: AnyObject {
    /// Bytes of intermediate results held, those left out that belong to single caches.
    var allocatedBytes: Int { get }

    /// Feeds tokens, one after the other within a sequence; all caches have room and are of its kind.
    ///
    /// - Parameter collect: receives the index of each feed and the logits after its last token.
    /// - Throws: `GgmlError` when memory is short or the device fails; sequences that were not collected are then
    ///   as before, except for tokens that a graph had fed already.
    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws
}

/// The next tokens of one sequence.
struct Feed {
    let cache: KVCache
    let tokens: [Token]
}

/// Attention as a part of a step's graph.
protocol StepAttention: AnyObject {
    /// What blocks without attention do to the same sequences.
    var recurrence: any Recurrence { get }

    /// Adds the attention of one layer to a graph that is being described.
    ///
    /// - Returns: `[headDim * queryHeads, columns]`
    func attend(_ projections: BlockGraph.Projections, layer: Int, in graph: Graph) -> Tensor

    /// Tells what the next computation of the graph is about.
    func prepare(_ feeds: ArraySlice<Feed>)
}
