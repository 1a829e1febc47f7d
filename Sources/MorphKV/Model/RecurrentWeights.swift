package import Ggml

/// The tensors of a block without attention; `[in, out]` for matrices, fastest dimension first.
package struct RecurrentWeights {
    /// What the block remembers by.
    package enum Mixer {
        case gatedDeltaNet(GatedDeltaNetWeights)
        case shortConvolution(ShortConvolutionWeights)
        case stateSpace(StateSpaceWeights)

        /// Back to the residual stream.
        var output: Projection {
            switch self {
            case .gatedDeltaNet(let weights): weights.output
            case .shortConvolution(let weights): weights.output
            case .stateSpace(let weights): weights.output
            }
        }
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

/// The tensors of a state space; see ``RecurrentBlock/StateSpace``.
package struct StateSpaceWeights {
    /// To a gate for each number, then all heads' numbers, keys and queries, then each head's step.
    package let input: Projection
    /// `[taps, channels]`
    package let convolution: Tensor
    /// `[channels]`
    package let convolutionBias: Tensor
    /// `[heads]`
    package let stepBias: Tensor
    /// `[1, heads]`, negative: how fast what is remembered fades.
    package let rates: Tensor
    /// `[1, heads]`: how much of a number is answered at once.
    package let passing: Tensor
    /// `[inner / groups, groups]`
    package let norm: Tensor
    package let output: Projection
}
