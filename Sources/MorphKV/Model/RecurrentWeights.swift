package import Ggml

/// The tensors of a block without attention; `[in, out]` for matrices, fastest dimension first.
package struct RecurrentWeights {
    /// What the block remembers by.
    package enum Mixer {
        case gatedDeltaNet(GatedDeltaNetWeights)
        case shortConvolution(ShortConvolutionWeights)
    }

    package let norm: Tensor
    package let mixer: Mixer
    package let feedForwardNorm: Tensor
    package let feedForward: FeedForwardWeights
}

/// The tensors of a gated convolution: `output(gate * convolved(factor * x))`.
package struct ShortConvolutionWeights {
    /// To factors, then gates, then what is convolved.
    package let input: Projection
    /// `[taps, embedding]`
    package let convolution: Tensor
    package let output: Projection
}

/// The tensors of a gated delta net; see ``RecurrentBlock/GatedDeltaNet``.
package struct GatedDeltaNetWeights {
    /// What makes each head's rate and decay.
    package enum Gates {
        case apart(rates: Projection, decays: Projection)
        /// For each key head the rates of its value heads, then their decays.
        case together(Projection)
    }

    /// To all heads' queries, then keys, then values.
    package let queriesKeysValues: Projection
    package let outputGate: Projection
    package let gates: Gates
    /// `[taps, channels]`
    package let convolution: Tensor
    /// `[valueHeads]`
    package let decayBias: Tensor
    /// `[valueHeads]`, negative.
    package let decayScale: Tensor
    /// `[size]`
    package let norm: Tensor
    package let output: Projection
}
