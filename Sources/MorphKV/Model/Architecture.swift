internal import Ggml

/// One family of decoders: how its GGUF metadata describes the decoder.
///
/// A new architecture is one file with one conforming type and one row in ``architectures``.
protocol Architecture: SendableMetatype {
    /// GGUF's name, `general.architecture`.
    static var name: String { get }
    /// How its RoPE pairs elements.
    static var pairing: RopeParameters.Pairing { get }
    /// Whether its feed-forward networks may be experts.
    static var mixesExperts: Bool { get }
    /// Whether experts may be chosen by sigmoids.
    static var choosesBySigmoid: Bool { get }
    /// Whether one tensor may hold gate and up of all experts of a block.
    static var fusesExperts: Bool { get }
    /// Whether blocks with attention may have different numbers of KV heads.
    static var variesHeads: Bool { get }
    /// Whether the number of KV heads may be one for each block, 0 in blocks without attention.
    static var statesHeadsPerBlock: Bool { get }
    /// Adjusts the description that all decoders have in common.
    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws
}

extension Architecture {
    static var mixesExperts: Bool { false }
    static var choosesBySigmoid: Bool { false }
    static var fusesExperts: Bool { false }
    static var variesHeads: Bool { false }
    static var statesHeadsPerBlock: Bool { false }
}

let architectures: [any Architecture.Type] = [
    Llama.self, Qwen2.self, Qwen3.self, Phi3.self, Gemma3.self, SmolLM3.self, Mistral3.self, Granite.self,
    GraniteMoE.self, Olmo2.self, OLMoE.self, Qwen3MoE.self, GptOss.self, Qwen35.self, Qwen35MoE.self, Qwen3Next.self,
    LFM2.self, LFM2MoE.self, GraniteHybrid.self, Gemma3n.self, Gemma4.self,
]

/// The names of architectures that know experts.
var mixtures: [String] { architectures.filter { $0.mixesExperts }.map { $0.name } }

/// What a file gets whose architecture cannot be run: the nearest one is that whose name begins in the same way, or else one whose
/// blocks are made of what the file states.
private func unknownArchitecture(_ name: String, of file: GgufFile) -> ModelError {
    let known = architectures.map { $0.name }
    let likeness = { (other: String) in zip(other, name).prefix { $0 == $1 }.count }
    var (nearest, why) = (known.max { likeness($0) < likeness($1) } ?? "", "")
    if likeness(nearest) < 4 {
        if file.keys.contains(where: { $0.hasPrefix("\(name).ssm.") }) {
            (nearest, why) = (GraniteHybrid.name, ", which has blocks with a state, too")
        } else if file.contains("\(name).expert_count") {
            (nearest, why) = (Qwen3MoE.name, ", which has experts, too")
        } else {
            (nearest, why) = (Llama.name, ", the plainest decoder")
        }
    }
    return ModelError(
        .unknownArchitecture,
        "\(file.name) has the architecture '\(name)'; this version runs: \(known.joined(separator: ", ")) "
            + "(the nearest is '\(nearest)'\(why))")
}

extension DecoderDescription {
    /// Reads what all decoders have in common and lets the architecture adapt it.
    ///
    /// - Throws: ``ModelError`` or `GgmlError` naming the key that is missing or makes no sense.
    init(_ file: GgufFile, intendedContext: Int?) throws {
        let name = file.name
        guard let architectureName = try file.string("general.architecture") else {
            throw ModelError(.metadata, "\(name): key general.architecture is missing")
        }
        guard let architecture = architectures.first(where: { $0.name == architectureName }) else {
            throw unknownArchitecture(architectureName, of: file)
        }
        let metadata = Metadata(file: file, architecture: architectureName, intendedContext: intendedContext)
        self = try DecoderDescription(common: metadata, of: architecture)
        try architecture.adapt(&self, metadata)
    }

    private init(common metadata: Metadata, of type: any Architecture.Type) throws {
        let file = metadata.file
        guard let embeddings = file.tensors["token_embd.weight"], embeddings.shape.count == 2 else {
            throw ModelError(.missingTensor, "\(file.name): tensor token_embd.weight is missing")
        }
        architecture = metadata.architecture
        vocabularySize = embeddings.shape[1]
        embeddingLength = try metadata.size("embedding_length", limit: 1 << 20)
        contextLength = try metadata.size("context_length", limit: Int(Int32.max))
        queryHeads = try metadata.size("attention.head_count", limit: 1 << 12)
        kvHeads = try metadata.kvHeads(limit: queryHeads, type)
        headDimension = try metadata.size(
            "attention.key_length", limit: 1 << 12, otherwise: embeddingLength / queryHeads)
        let valueLength = try metadata.size("attention.value_length", limit: 1 << 12, otherwise: headDimension)
        guard queryHeads % kvHeads == 0 else {
            throw ModelError(.metadata, "\(queryHeads) query heads cannot share \(kvHeads) KV heads evenly")
        }
        guard valueLength == headDimension else {
            throw ModelError(
                .unsupported,
                "keys of length \(headDimension) with values of length \(valueLength); models run whose values are as long as keys"
            )
        }
        guard let epsilon = try metadata.float("attention.layer_norm_rms_epsilon") else {
            throw ModelError(.metadata, "key \(metadata.key("attention.layer_norm_rms_epsilon")) is missing")
        }
        guard epsilon >= 0 else {
            throw ModelError(
                .metadata, "\(metadata.key("attention.layer_norm_rms_epsilon")) is \(epsilon), less than 0")
        }
        normEpsilon = epsilon
        attentionScale = 1 / Float(headDimension).squareRoot()
        let rope = try RopeParameters(
            metadata, pairing: type.pairing, headDimension: headDimension, context: contextLength)
        let (heads, dimension) = (kvHeads, headDimension)
        layers = try (0..<metadata.blockCount()).map {
            Layer(
                block: $0, kvHeads: heads, headDimension: dimension, slidingWindow: nil, rope: rope,
                feedForward: try FeedForward(metadata, of: type, block: $0))
        }
    }

    /// Lets every layer see at most the window that the file states, if it states one.
    mutating func applySlidingWindow(_ metadata: Metadata) throws {
        guard let window = try metadata.slidingWindow(context: contextLength) else { return }
        for index in layers.indices { layers[index].slidingWindow = window }
    }

    /// Lets attention scores be multiplied by what the file states, if it states something.
    mutating func applyAttentionScale(_ metadata: Metadata) throws {
        if let scale = try metadata.float("attention.scale"), scale > 0 { attentionScale = scale }
    }
}

extension RopeParameters {
    /// Reads the RoPE keys: base, dimensions, and linear, YaRN or long-rope scaling.
    ///
    /// The YaRN attention factor follows libllama: ggml multiplies by 1 + 0.1 ln(factor) itself, and the file's
    /// `attn_factor` comes on top.
    init(_ metadata: Metadata, pairing: Pairing, headDimension: Int, context: Int) throws {
        let dimensions = try metadata.size(
            "rope.dimension_count", limit: headDimension, otherwise: headDimension)
        guard dimensions % 2 == 0 else {
            throw ModelError(.metadata, "\(metadata.key("rope.dimension_count")) is \(dimensions), an odd number")
        }
        self.init(pairing: pairing, dimensions: dimensions, base: try metadata.float("rope.freq_base") ?? 10000)
        originalContext = try metadata.size(
            "rope.scaling.original_context_length", limit: Int(Int32.max), otherwise: context)
        let scaling = try metadata.file.string(metadata.key("rope.scaling.type")) ?? "linear"
        guard ["none", "linear", "yarn", "longrope"].contains(scaling) else {
            throw ModelError(.unsupported, "RoPE scaling '\(scaling)'; none, linear, yarn and longrope run")
        }
        let factor = try metadata.float("rope.scaling.factor") ?? metadata.float("rope.scale_linear") ?? 0
        guard factor >= 0, factor.isFinite, base > 0, base.isFinite else {
            throw ModelError(.metadata, "RoPE base \(base) with scaling factor \(factor)")
        }
        scale = scaling == "none" || factor == 0 ? 1 : 1 / factor
        extrapolation = scaling == "yarn" ? 1 : 0
        betaFast = try metadata.float("rope.scaling.yarn_beta_fast") ?? 32
        betaSlow = try metadata.float("rope.scaling.yarn_beta_slow") ?? 1
        attentionFactor = try metadata.float("rope.scaling.attn_factor") ?? 1
    }
}
