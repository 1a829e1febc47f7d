#if Server
internal import MorphKV

/// The body of `POST /completion`, llama-server's own.
struct NativeRequest: Decodable, Sendable {
    var prompt: NativePrompt
    var nPredict: Int?
    var maxTokens: Int?
    var n: Int?
    var temperature: Float?
    var topK: Int?
    var topP: Float?
    var minP: Float?
    var repeatPenalty: Float?
    var repeatLastN: Int?
    var presencePenalty: Float?
    var frequencyPenalty: Float?
    var seed: Int?
    var samplers: [String]?
    var logitBias: NativeBias?
    var ignoreEos: Bool?
    var stop: GenerationFields.Texts?
    var stream: Bool?
    var nProbs: Int?
    var postSamplingProbs: Bool?
    var returnTokens: Bool?
    var responseFields: [String]?
    var timingsPerToken: Bool?
    var returnProgress: Bool?
    var cachePrompt: Bool?
    var idSlot: Int?
    var nKeep: Int?
    var model: String?
    var morphkv: GenerationFields.Extension?
    // What this server does not have; values that change nothing are taken.
    var minKeep: Int?
    var nIndent: Int?
    var tMaxPredictMs: Int?
    var typicalP: Float?
    var topNSigma: Float?
    var dynatempRange: Float?
    var xtcProbability: Float?
    var dryMultiplier: Float?
    var mirostat: Int?
    var adaptiveTarget: Float?
    var lora: [JSONValue]?
    var imageData: [JSONValue]?
}

extension NativeRequest {
    /// - Throws: ``APIError`` naming the field that is out of range or not supported.
    func validate(_ configuration: ServerConfiguration) throws {
        try shared.validate(configuration)
        func require<Value: Comparable>(_ value: Value?, _ range: ClosedRange<Value>, _ name: String) throws {
            guard let value, !range.contains(value) else { return }
            throw APIError.invalid("'\(name)' must be from \(range.lowerBound) to \(range.upperBound)", param: name)
        }
        try require(nPredict ?? maxTokens, -1...1 << 24, "n_predict")
        try require(topK, -1...1 << 20, "top_k")
        try require(repeatPenalty, 0.01...100, "repeat_penalty")
        try require(repeatLastN, -1...1 << 20, "repeat_last_n")
        try require(nProbs, 0...100, "n_probs")
        try require(nKeep, -1...1 << 24, "n_keep")
        try require(responseFields?.count, 0...64, "response_fields")
        try validateUnsupported()
        _ = try order()
    }

    /// The fields that OpenAI's interface has too, for the same checks.
    private var shared: GenerationFields {
        var fields = GenerationFields()
        (fields.model, fields.n, fields.stop) = (model, n, stop)
        (fields.temperature, fields.topP, fields.minP) = (temperature.map { max(0, $0) }, topP, minP)
        (fields.presencePenalty, fields.frequencyPenalty) = (presencePenalty, frequencyPenalty)
        (fields.stream, fields.morphkv) = (stream, morphkv)
        return fields
    }

    private func validateUnsupported() throws {
        func refuse<Value: Equatable>(_ value: Value?, unless neutral: [Value], _ name: String) throws {
            guard let value, !neutral.contains(value) else { return }
            throw APIError.invalid("'\(name)' is not supported", param: name, code: "unsupported")
        }
        try refuse(minKeep, unless: [0, 1], "min_keep")
        try refuse(nIndent, unless: [0], "n_indent")
        try refuse(tMaxPredictMs, unless: [0, -1], "t_max_predict_ms")
        try refuse(typicalP, unless: [1], "typical_p")
        try refuse(topNSigma, unless: [-1, 0], "top_n_sigma")
        try refuse(dynatempRange, unless: [0], "dynatemp_range")
        try refuse(xtcProbability, unless: [0], "xtc_probability")
        try refuse(dryMultiplier, unless: [0], "dry_multiplier")
        try refuse(mirostat, unless: [0], "mirostat")
        try refuse(adaptiveTarget.map { $0 < 0 }, unless: [true], "adaptive_target")
        guard (lora ?? []).isEmpty else { throw APIError.notBuilt("LoRA") }
        guard (imageData ?? []).isEmpty else { throw APIError.notBuilt("images and audio") }
    }

    /// The samplers that this server has, in the one order in which it applies them.
    static let samplerNames = ["penalties", "top_k", "top_p", "min_p", "temperature"]
    private static let neutralSamplers = ["dry", "top_n_sigma", "typ_p", "typical_p", "xtc", "adaptive_p", "infill"]

    /// The samplers that are applied.
    private func order() throws -> [String] {
        guard let samplers else { return Self.samplerNames }
        let names = samplers.filter { !Self.neutralSamplers.contains($0) }
        guard names.allSatisfy(Self.samplerNames.contains) else {
            throw APIError.invalid("'samplers' has a name that there is not", param: "samplers")
        }
        guard names == Self.samplerNames.filter(names.contains) else {
            throw APIError.invalid(
                "'samplers' are applied once, in this order: \(Self.samplerNames.joined(separator: ", "))",
                param: "samplers", code: "unsupported")
        }
        return names
    }

    /// How the `index`th of several answers is sampled.
    ///
    /// - Parameter ends: the tokens that end a generation.
    func sampling(
        _ index: Int, _ defaults: SamplingDefaults, _ tokenizer: Tokenizer, ends: [Token]
    ) throws -> SamplingOptions {
        let names = try order()
        func has(_ name: String) -> Bool { names.contains(name) }
        let wanted = max(0, temperature ?? defaults.temperature ?? 0.8)
        var biases = try logitBias?.biases(tokenizer) ?? [:]
        if ignoreEos == true { for token in ends { biases[token] = NativeBias.never } }
        let given = seed.flatMap { $0 == -1 ? nil : UInt32(truncatingIfNeeded: $0) }
        let window = repeatLastN ?? 64
        return SamplingOptions(
            temperature: wanted == 0 || has("temperature") ? wanted : 1,
            topK: has("top_k") ? max(0, topK ?? defaults.topK ?? 40) : 0,
            topP: has("top_p") ? topP ?? defaults.topP ?? 0.95 : 1,
            minP: has("min_p") ? minP ?? defaults.minP ?? 0.05 : 0,
            repetitionPenalty: has("penalties") ? repeatPenalty ?? 1 : 1,
            frequencyPenalty: has("penalties") ? frequencyPenalty ?? 0 : 0,
            presencePenalty: has("penalties") ? presencePenalty ?? 0 : 0,
            penaltyWindow: window < 0 ? 4096 : window,
            seed: (given ?? defaults.seed ?? .random(in: 0...UInt32.max)) &+ UInt32(index), logitBias: biases)
    }
}
#endif
