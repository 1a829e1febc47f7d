/// A block in which tokens do not attend to each other: it remembers what came before in a state of constant size.
public struct RecurrentBlock: Sendable, Hashable {
    /// How it remembers.
    public enum Kind: Sendable, Hashable {
        /// A matrix per head that fades and is corrected with each token (arXiv 2412.06464), as in Qwen 3.5.
        case gatedDeltaNet(GatedDeltaNet)
        /// The last inputs of a gated convolution, as in LFM2: so many, the token's own included.
        case shortConvolution(taps: Int)
        /// A vector for each number of a head, which fades and takes in the number along a key (Mamba 2, arXiv 2405.21060).
        case stateSpace(StateSpace)

        /// A few words for a person.
        package var summary: String {
            switch self {
            case .gatedDeltaNet(let net): "a gated delta net of \(net.valueHeads) heads of \(net.size)"
            case .shortConvolution(let taps): "a convolution over \(taps) tokens"
            case .stateSpace(let space): "a state space of \(space.heads) heads of \(space.size)"
            }
        }
    }

    /// Heads and sizes of a gated delta net.
    public struct GatedDeltaNet: Sendable, Hashable {
        /// Heads of queries and keys.
        public internal(set) var keyHeads: Int
        /// Heads of values; a multiple of ``keyHeads``.
        public internal(set) var valueHeads: Int
        /// Length of one query, key and value vector.
        public internal(set) var size: Int
        /// Inputs that the convolution before it sees, the token's own included.
        public internal(set) var taps: Int
        /// Whether successive value heads share a key head, as in Qwen 3 Next, or those a number of key heads apart.
        public internal(set) var groupsHeads = false

        package init(keyHeads: Int, valueHeads: Int, size: Int, taps: Int, groupsHeads: Bool = false) {
            self.keyHeads = keyHeads
            self.valueHeads = valueHeads
            self.size = size
            self.taps = taps
            self.groupsHeads = groupsHeads
        }

        /// Numbers of all heads' queries, keys and values.
        package var channels: Int { (2 * keyHeads + valueHeads) * size }
    }

    /// Heads and sizes of a state space.
    public struct StateSpace: Sendable, Hashable {
        /// Heads.
        public internal(set) var heads: Int
        /// Numbers of a head.
        public internal(set) var size: Int
        /// Length of what is remembered of each number.
        public internal(set) var stateSize: Int
        /// Groups of heads that share keys and queries.
        public internal(set) var groups: Int
        /// Inputs that the convolution before it sees, the token's own included.
        public internal(set) var taps: Int

        package init(heads: Int, size: Int, stateSize: Int, groups: Int, taps: Int) {
            self.heads = heads
            self.size = size
            self.stateSize = stateSize
            self.groups = groups
            self.taps = taps
        }

        /// Numbers of all heads.
        package var inner: Int { heads * size }
        /// Numbers of all heads, and all groups' keys and queries.
        package var channels: Int { inner + 2 * groups * stateSize }
    }

    /// Its number among all blocks, from the input.
    public internal(set) var block: Int
    /// The index in ``DecoderDescription/layers`` of the next layer with attention, or their number if none follows.
    public internal(set) var layer: Int
    /// How it remembers.
    public internal(set) var kind: Kind
    /// The block's second half.
    public internal(set) var feedForward: FeedForward

    /// The shape of what it remembers of a sequence, in 32-bit floats.
    struct StateShape: Hashable {
        /// The last inputs of its convolution, `[channels, taps - 1]`.
        let inputs: [Int]
        /// What heads remember, `[key size, size, heads]`; nil if there is nothing but inputs.
        let memory: [Int]?

        var bytes: Int { 4 * (inputs.reduce(1, *) + (memory?.reduce(1, *) ?? 0)) }
    }

    /// - Parameter width: of the residual stream.
    func stateShape(width: Int) -> StateShape {
        switch kind {
        case .shortConvolution(let taps): StateShape(inputs: [width, taps - 1], memory: nil)
        case .gatedDeltaNet(let net):
            StateShape(inputs: [net.channels, net.taps - 1], memory: [net.size, net.size, net.valueHeads])
        case .stateSpace(let space):
            StateShape(
                inputs: [space.channels, space.taps - 1], memory: [space.stateSize, space.size, space.heads])
        }
    }

    /// What tells models apart whose tensors are the same.
    var fingerprint: String { "recurrent \(block) \(kind) \(feedForward.fingerprint ?? "")" }
}

extension DecoderDescription {
    /// Number of all blocks, with attention and without.
    public var blockCount: Int { layers.count + queryBlocks.count + recurrentBlocks.count }

    /// Bytes of what the blocks without attention remember of a sequence, however long it is.
    package var recurrentBytes: Int { recurrentBlocks.reduce(0) { $0 + $1.stateShape(width: embeddingLength).bytes } }

    /// Those of ``recurrentBlocks`` between a layer and the layer before it, or the input; behind the last layer for its
    /// index plus one.
    func recurrentBlocks(before layer: Int) -> Range<Int> {
        let first = recurrentBlocks.firstIndex { $0.layer >= layer } ?? recurrentBlocks.count
        let end = recurrentBlocks.firstIndex { $0.layer > layer } ?? recurrentBlocks.count
        return first..<end
    }

    /// Whether no block without attention follows the last layer.
    var endsWithAttention: Bool { recurrentBlocks(before: layers.count).isEmpty }

    /// Turns layers into blocks without attention.
    ///
    /// - Parameters:
    ///   - isRecurrent: for each block.
    ///   - keys: where the file states that.
    /// - Throws: ``ModelError`` of kind `unsupported` if no layer would be left.
    mutating func makeRecurrent(_ isRecurrent: [Bool], _ kind: RecurrentBlock.Kind, statedBy keys: String) throws {
        var attending: [Layer] = []
        for layer in layers {
            if isRecurrent[layer.block] {
                recurrentBlocks.append(
                    RecurrentBlock(
                        block: layer.block, layer: attending.count, kind: kind, feedForward: layer.feedForward))
            } else {
                attending.append(layer)
            }
        }
        guard !attending.isEmpty else {
            throw ModelError(.unsupported, "no block has attention, says \(keys); models with some run")
        }
        layers = attending
    }
}
