package import Ggml

/// A matrix product with an optional bias.
package struct Projection {
    package let weight: Tensor
    package let bias: Tensor?
}

/// A network with a gate: `down * activation(gate * x, up * x)`; or that of all experts, whose matrices have a third
/// dimension.
package struct NetworkWeights {
    /// nil if ``up`` holds gate and up.
    package let gate: Projection?
    package let up: Projection
    package let down: Projection
}

/// The tensors of a block's feed-forward network; see ``FeedForward``.
package struct FeedForwardWeights {
    /// Every token's network, or all experts in one.
    package let network: NetworkWeights
    /// What chooses a token's experts; nil if there are none.
    package let router: Projection?
    /// What is added to what experts are chosen by, `[experts]`; nil if nothing is.
    package let choiceBias: Tensor?
    /// What every token gets besides its experts; nil if there is nothing.
    package let shared: NetworkWeights?
    /// What the result of ``shared`` is multiplied by, after a sigmoid; nil if by nothing.
    package let sharedGate: Projection?
}

/// The tensors of one block; `[in, out]` for matrices, fastest dimension first.
package struct LayerWeights {
    /// nil if the input is not normalised.
    package let attentionNorm: Tensor?
    /// Q, K and V in one product, or nil.
    package let queryKeyValue: Projection?
    /// Where attention is gated, each head's query, then its gate.
    package let query: Projection?
    package let key: Projection?
    package let value: Projection?
    package let queryNorm: Tensor?
    package let keyNorm: Tensor?
    /// A term of each query head's softmax that no entry gets, `[queryHeads]`; nil if there is none.
    package let attentionSinks: Tensor?
    package let attentionOutput: Projection
    package let attentionPostNorm: Tensor?
    /// nil if the input is not normalised.
    package let feedForwardNorm: Tensor?
    package let feedForward: FeedForwardWeights
    package let feedForwardPostNorm: Tensor?
}

/// All tensors of a decoder: on the CPU in mapped memory, or copied into a layout that it multiplies faster; in the
/// device's memory elsewhere.
package struct Weights {
    package let tokenEmbeddings: Tensor
    package let layers: [LayerWeights]
    package let recurrentBlocks: [RecurrentWeights]
    package let outputNorm: Tensor
    package let output: Projection
    package let ropeFactors: Tensor?
    /// Bytes of all tensors together.
    package let bytes: Int
    /// Bytes that a step reads: all but a table of embeddings of which a row is read, and experts that are not chosen.
    package let bytesPerStep: Int
    /// Whether matrices lie in a layout of the device's own.
    package let isPacked: Bool
    /// The tensors that lie in the mapped file, whose pages come into memory when they are first read.
    package let mapped: [Tensor]
}
