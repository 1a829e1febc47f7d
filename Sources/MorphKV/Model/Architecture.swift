internal import Ggml

/// One family of decoders: how its GGUF metadata describes the decoder.
///
/// A new architecture is one file with one conforming type and one row in ``architectures``.
protocol Architecture: SendableMetatype {
    /// GGUF's name, `general.architecture`.
    static var name: String { get }
    /// How its RoPE pairs elements.
    static var pairing: RopeParameters.Pairing { get }
    /// Adjusts the description that all decoders have in common.
    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws
}

let architectures: [any Architecture.Type] = [Llama.self, Qwen2.self, Qwen3.self, Phi3.self, Gemma3.self]

/// Typed access to a GGUF file's keys below the architecture's prefix.
struct Metadata {
    let file: GgufFile
    let architecture: String
    /// The context the caller will use; decides between long and short RoPE factors.
    let intendedContext: Int?

    func key(_ name: String) -> String { "\(architecture).\(name)" }

    func integer(_ name: String) throws -> Int? { try file.integer(key(name)) }

    /// A number; what is not finite would turn everything into NaN, and some of it makes ggml abort.
    func float(_ name: String) throws -> Float? {
        guard let value = try file.float(key(name)) else { return nil }
        guard value.isFinite else { throw ModelError(.metadata, "\(file.name): \(key(name)) is \(value)") }
        return value
    }

    /// How many tokens back a layer sees, itself included; nil if that is all that the model's context holds.
    ///
    /// Phi-3 states windows beyond its context, for which room would be made at once.
    func slidingWindow(context: Int) throws -> Int? {
        guard let window = try integer("attention.sliding_window"), (1..<context).contains(window) else { return nil }
        return window
    }

    /// A positive whole number up to `limit`.
    func size(_ name: String, limit: Int) throws -> Int {
        guard let value = try integer(name) else {
            throw ModelError(.metadata, "\(file.name): key \(key(name)) is missing")
        }
        return try check(name, value, limit: limit)
    }

    /// A positive whole number up to `limit`, or the value to take when the key is missing.
    func size(_ name: String, limit: Int, otherwise: Int) throws -> Int {
        try check(name, integer(name) ?? otherwise, limit: limit)
    }

    private func check(_ name: String, _ value: Int, limit: Int) throws -> Int {
        guard (1...limit).contains(value) else {
            throw ModelError(.metadata, "\(file.name): \(key(name)) is \(value), not 1 to \(limit)")
        }
        return value
    }
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
            let known = architectures.map { $0.name }.joined(separator: ", ")
            throw ModelError(
                .unknownArchitecture, "\(name) has the architecture '\(architectureName)'; this version runs: \(known)")
        }
        let metadata = Metadata(file: file, architecture: architectureName, intendedContext: intendedContext)
        self = try DecoderDescription(common: metadata, pairing: architecture.pairing)
        try architecture.adapt(&self, metadata)
    }

    private init(common metadata: Metadata, pairing: RopeParameters.Pairing) throws {
        let file = metadata.file
        guard let embeddings = file.tensors["token_embd.weight"], embeddings.shape.count == 2 else {
            throw ModelError(.missingTensor, "\(file.name): tensor token_embd.weight is missing")
        }
        if let experts = try metadata.integer("expert_count"), experts > 0 {
            throw ModelError(.unsupported, "\(file.name) is a mixture of \(experts) experts")
        }
        architecture = metadata.architecture
        vocabularySize = embeddings.shape[1]
        embeddingLength = try metadata.size("embedding_length", limit: 1 << 20)
        feedForwardLength = try metadata.size("feed_forward_length", limit: 1 << 22)
        contextLength = try metadata.size("context_length", limit: Int(Int32.max))
        queryHeads = try metadata.size("attention.head_count", limit: 1 << 12)
        kvHeads = try metadata.size("attention.head_count_kv", limit: queryHeads, otherwise: queryHeads)
        headDimension = try metadata.size(
            "attention.key_length", limit: 1 << 12, otherwise: embeddingLength / queryHeads)
        let valueLength = try metadata.size("attention.value_length", limit: 1 << 12, otherwise: headDimension)
        guard queryHeads % kvHeads == 0 else {
            throw ModelError(.metadata, "\(queryHeads) query heads cannot share \(kvHeads) KV heads evenly")
        }
        guard valueLength == headDimension else {
            throw ModelError(.unsupported, "keys of length \(headDimension) with values of length \(valueLength)")
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
        let rope = try RopeParameters(metadata, pairing: pairing, headDimension: headDimension, context: contextLength)
        let layer = Layer(slidingWindow: nil, rope: rope)
        layers = Array(repeating: layer, count: try metadata.size("block_count", limit: 1 << 10))
    }

    /// Lets every layer see at most the window that the file states, if it states one.
    mutating func applySlidingWindow(_ metadata: Metadata) throws {
        guard let window = try metadata.slidingWindow(context: contextLength) else { return }
        for index in layers.indices { layers[index].slidingWindow = window }
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
            throw ModelError(.unsupported, "RoPE scaling '\(scaling)'")
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
