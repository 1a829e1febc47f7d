internal import Ggml

/// What a block's feed-forward network looks like: one network for every token, or experts of which each token has a
/// few.
public struct FeedForward: Sendable, Hashable {
    /// What becomes of gate and up.
    public enum Activation: String, Sendable, Hashable {
        /// silu(gate) * up, as in Llama.
        case silu
        /// gelu(gate) * up with the tanh approximation, as in Gemma.
        case gelu
        /// As silu, but with gate and up limited and 1 added to up, as in gpt-oss.
        case clampedSilu
    }

    /// Networks among which a router chooses for each token (arXiv 2101.03961, 2401.04088).
    public struct Experts: Sendable, Hashable {
        /// Experts per layer.
        public internal(set) var count: Int
        /// Experts that each token gets: those with the largest probabilities.
        public internal(set) var used: Int
        /// Whether experts are chosen and weighed by the sigmoids of the router's logits, not by their softmax.
        public package(set) var usesSigmoid = false
        /// Whether a bias is added to what experts are chosen by, but not to their weights.
        public internal(set) var biasesChoice = false
        /// Whether a token's weights are the softmax of its experts' logits alone, not of all.
        public internal(set) var weighsChosenOnly = false
        /// Whether the weights of a token's experts are divided by their sum.
        public internal(set) var normalizesWeights = true
        /// What the weights are multiplied by.
        public internal(set) var weightScale: Float = 1
        /// Width of the network that every token gets besides; nil if there is none.
        public internal(set) var sharedLength: Int?
        /// Whether that network and the experts have norms of their own, before and behind, and the router a scale (Gemma 4).
        var hasOwnNorms = false
        /// Whether what that network gives is multiplied by the sigmoid of a gate.
        public internal(set) var gatesShared = false

        package init(count: Int, used: Int, sharedLength: Int? = nil, gatesShared: Bool = false) {
            self.count = count
            self.used = used
            self.sharedLength = sharedLength
            self.gatesShared = gatesShared
        }
    }

    /// Width of the network, or of one expert.
    public internal(set) var length: Int
    /// What becomes of gate and up.
    public internal(set) var activation = Activation.silu
    /// How many standard deviations above their mean gates have to be to count; nil if all do.
    var sparsity: Float?
    /// Whether one tensor holds gate and up: `ffn_up`, or `ffn_gate_up_exps` of experts.
    public internal(set) var fusesGateAndUp = false
    /// The experts; nil if every token gets the one network.
    public internal(set) var experts: Experts?

    package init(length: Int) { self.length = length }

    /// What tells networks apart whose tensors and widths are the same; nil for one without experts or anything special.
    var fingerprint: String? {
        experts.map {
            "experts \($0.used) \($0.normalizesWeights) \($0.weightScale) \($0.weighsChosenOnly)"
                + ($0.gatesShared ? " gated" : "") + ($0.usesSigmoid ? " sigmoid" : "")
                + ($0.biasesChoice ? " biased" : "") + ($0.hasOwnNorms ? " normed" : "")
        } ?? sparsity.map { "sparse \($0)" }
    }

    /// Width of everything that one token gets.
    public var activeLength: Int {
        guard let experts else { return length }
        return length * experts.used + (experts.sharedLength ?? 0)
    }
}

// MARK: - Tensors

extension FeedForward {
    /// A tensor's name without its layer, and its shape: `[in, out]`, or `[in, out, experts]`.
    package struct Matrix: Hashable {
        package let name: String
        package let shape: [Int]
        /// Whether converters leave it in 32 bits, because a small difference changes which expert is chosen.
        package var isExact = false
    }

    /// The matrices of a network, by what they are for.
    package struct Matrices {
        /// nil if ``up`` holds gate and up.
        package let gate: Matrix?
        package let up: Matrix
        package let down: Matrix
    }

    /// The network, or all experts in one.
    ///
    /// - Parameter width: of the residual stream.
    package func matrices(width: Int) -> Matrices {
        guard let experts else { return network("", length, width, fused: fusesGateAndUp) }
        return network("_exps", length, width, fused: fusesGateAndUp, last: [experts.count])
    }

    /// The network that every token gets besides its experts; nil if there is none.
    package func sharedMatrices(width: Int) -> Matrices? {
        experts.flatMap { experts in
            experts.sharedLength.map { network(experts.hasOwnNorms ? "" : "_shexp", $0, width, fused: false) }
        }
    }

    /// The gate of the network that every token gets besides; nil if it has none.
    package func sharedGate(width: Int) -> Matrix? {
        guard let experts, experts.gatesShared, experts.sharedLength != nil else { return nil }
        return Matrix(name: "ffn_gate_inp_shexp", shape: [width, 1])
    }

    /// What chooses the experts; nil if there are none.
    package func router(width: Int) -> Matrix? {
        experts.map { Matrix(name: "ffn_gate_inp", shape: [width, $0.count], isExact: true) }
    }

    /// What is added to what experts are chosen by; nil if nothing is.
    package var choiceBias: Matrix? {
        experts.flatMap { $0.biasesChoice ? Matrix(name: "exp_probs_b.bias", shape: [$0.count], isExact: true) : nil }
    }

    private func network(
        _ suffix: String, _ length: Int, _ width: Int, fused: Bool, last: [Int] = []
    ) -> Matrices {
        Matrices(
            gate: fused ? nil : Matrix(name: "ffn_gate\(suffix)", shape: [width, length] + last),
            up: Matrix(
                name: fused && !last.isEmpty ? "ffn_gate_up\(suffix)" : "ffn_up\(suffix)",
                shape: [width, fused ? 2 * length : length] + last),
            down: Matrix(name: "ffn_down\(suffix)", shape: [length, width] + last))
    }
}

// MARK: - Metadata

extension FeedForward {
    /// Reads the keys of the feed-forward network; they are the same for all architectures.
    ///
    /// - Parameters:
    ///   - architecture: whether it knows experts, and how they are chosen.
    ///   - block: the block that it is of.
    init(_ metadata: Metadata, of architecture: any Architecture.Type, block: Int) throws {
        guard let count = try metadata.integer("expert_count"), count > 0 else {
            length = try metadata.size("feed_forward_length", ofBlock: block, limit: 1 << 22)
            return
        }
        guard architecture.mixesExperts else {
            throw ModelError(
                .unsupported,
                "\(metadata.file.name) is a mixture of \(count) experts; '\(metadata.architecture)' runs without, the "
                    + "architectures with experts are: \(mixtures.joined(separator: ", "))")
        }
        var experts = Experts(
            count: try metadata.size("expert_count", limit: 1 << 10),
            used: try metadata.size("expert_used_count", limit: count))
        length =
            try metadata.size(
                metadata.file.contains(metadata.key("expert_feed_forward_length"))
                    ? "expert_feed_forward_length" : "feed_forward_length", ofBlock: block, limit: 1 << 22)
        if try metadata.integer("expert_shared_feed_forward_length") ?? 0 != 0 {
            experts.sharedLength = try metadata.size("expert_shared_feed_forward_length", limit: 1 << 22)
        }
        if let normalizes = try metadata.file.bool(metadata.key("expert_weights_norm")) {
            experts.normalizesWeights = normalizes
        }
        if let scale = try metadata.float("expert_weights_scale"), scale != 0 { experts.weightScale = scale }
        experts.usesSigmoid = try Self.usesSigmoid(metadata, isKnown: architecture.choosesBySigmoid)
        fusesGateAndUp =
            metadata.file.tensors["blk.\(block).ffn_gate_up_exps.weight"] != nil && architecture.fusesExperts
        self.experts = experts
    }

    /// Whether experts are chosen by sigmoids; refuses ways to choose them that this version does not have.
    ///
    /// - Parameter isKnown: whether models of the architecture may choose so.
    private static func usesSigmoid(_ metadata: Metadata, isKnown: Bool) throws -> Bool {
        let (softmax, sigmoid) = (1, 2)
        let gating = try metadata.integer("expert_gating_func") ?? softmax
        guard [0, softmax].contains(gating) || (gating == sigmoid && isKnown) else {
            let other = isKnown ? " and \(sigmoid), the sigmoid" : ""
            throw ModelError(
                .unsupported,
                "\(metadata.key("expert_gating_func")) is \(gating); this version has \(softmax), the softmax\(other)")
        }
        if let groups = try metadata.integer("expert_group_count"), groups > 1 {
            throw ModelError(
                .unsupported, "\(metadata.file.name) chooses among \(groups) groups of experts, not among all of them")
        }
        return gating == sigmoid
    }
}
