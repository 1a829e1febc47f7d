internal import CAttention
internal import Ggml

/// What scores that depend on keys need to know when keys of a layer were moved.
struct KeyMove {
    let backend: Backend
    let allocator: GraphAllocator
    /// What attention scores are multiplied by before the softmax.
    let scale: Float
    /// The keys in the slots, as they are now, all in one frame: `[headDim, slots, kvHeads]`.
    let keys: (Graph) -> Tensor
    /// Tokens that the sequence has so far.
    let seen: Int
    /// By how much the base moved from which positions are counted.
    let shift: Int
    /// Turns rows of a tensor, each by so many positions; rows are as long as a key.
    let turn: (Tensor, [attention_turn]) throws -> Void
    /// Lets the kernel sum anew what the window's queries give the entries whose keys were moved, for a phase; nil where
    /// graphs attend.
    let recount: ((_ phase: Int) -> Void)?
}
