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
    /// nil unless the experts stand beside a network.
    package let norms: ParallelNorms?
    /// What is added to what experts are chosen by, `[experts]`; nil if nothing is.
    package let choiceBias: Tensor?
    /// What every token gets besides its experts; nil if there is nothing.
    package let shared: NetworkWeights?
    /// What the result of ``shared`` is multiplied by, after a sigmoid; nil if by nothing.
    package let sharedGate: Projection?
}

/// Norms around a network and the experts beside it, and what the router's input is multiplied by.
package struct ParallelNorms {
    package let before: Tensor
    package let behindNetwork: Tensor
    package let behindExperts: Tensor
    package let routerScale: Tensor
    /// What each expert's result is multiplied by, `[experts]`; nil if by nothing.
    package let expertScales: Tensor?
}

/// What a block makes of the numbers of a token that are its own.
package struct PerLayerWeights {
    /// From the residual stream to as many numbers.
    package let gate: Projection
    package let output: Projection
    package let norm: Tensor
}

/// How a block predicts several residual streams from one, and corrects what it predicted; and the product beside attention.
package struct AlternativeWeights {
    package let router: Projection
    package let routerNorm: Tensor
    /// From the router's numbers, one for each stream, to a factor for each pair of streams.
    package let prediction: Projection
    /// To a factor for each stream.
    package let correction: Projection
    package let correctionScale: Tensor
    package let left: Projection
    package let right: Projection
    package let norm: Tensor
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
    /// nil if the block gets nothing besides the residual stream.
    package let perLayer: PerLayerWeights?
    /// nil if there is one residual stream.
    package let alternatives: AlternativeWeights?
    /// What the block's output is multiplied by, `[1]`; nil if by nothing.
    package let scale: Tensor?
}

/// Where the numbers of a token come from that blocks get besides the residual stream.
package struct PerLayerInputs {
    /// `[perLayerLength * blocks, vocabulary]`
    package let table: Tensor
    /// From embeddings.
    package let projection: Projection
    package let norm: Tensor
}

/// What makes several residual streams of one, and one of several: `[embedding, embedding, streams - 1]`.
package struct StreamWeights {
    package let entering: Tensor
    package let leaving: Tensor
}

/// All tensors of a decoder: on the CPU in mapped memory, or copied into a layout that it multiplies faster; in the
/// device's memory elsewhere, each layer's with the layer, but for tables of embeddings: the host reads their rows.
package struct Weights {
    package let tokenEmbeddings: Tensor
    /// Of ``DecoderDescription/layers``, then of ``DecoderDescription/queryBlocks``.
    package let layers: [LayerWeights]
    package let perLayerInputs: PerLayerInputs?
    package let streams: StreamWeights?
    package let recurrentBlocks: [RecurrentWeights]
    package let outputNorm: Tensor
    package let output: Projection
    /// On each device that has layers; empty if there are none.
    package let ropeFactors: [Device: Tensor]
    /// Bytes of all tensors together.
    package let bytes: Int
    /// Bytes that a step reads: all but a table of embeddings of which a row is read, and experts that are not chosen.
    package let bytesPerStep: Int
    /// Whether matrices lie in a layout of the device's own.
    package let isPacked: Bool
    /// Bytes of the largest tensor in such a layout; 0 if there is none.
    package let largestCopy: Int
    /// The tensors that lie in the mapped file, whose pages come into memory when they are first read.
    package let mapped: [Tensor]
}
