internal import Foundation
public import MorphKV

extension EvaluationSettings {
    /// States a run of a GGUF model with a cache of this package, as ``SessionModel`` answers.
    ///
    /// - Parameters:
    ///   - benchmark: The benchmark's name.
    ///   - dataset: The part of the benchmark.
    ///   - samples: All samples of the run.
    ///   - model: The model.
    ///   - cache: What its cache keeps, and how; the policy in it does not matter where there is a budget.
    ///   - budget: The bytes that the cache of a sample may take; `nil` if its policy states the capacity.
    ///   - sampling: How tokens are chosen; sample n is answered with the seed plus n.
    ///   - usesChatTemplate: Whether prompts are put into the model's chat template where the benchmark wants it.
    ///   - maximumNewTokens: A limit of tokens for an answer instead of the benchmark's own.
    ///   - maximumPromptTokens: A limit of tokens for a prompt instead of what the model's context has room for.
    ///   - contextLength: The context length that the model was loaded for; `nil` for the trained one.
    /// - Throws: ``EvaluationError`` of kind `file` if the model's file cannot be read; `CacheError` of kind
    ///   `calibration` if the policy needs one that is not there.
    public init(
        _ benchmark: String, dataset: String, samples: [EvaluationSample], model: Model, cache: CacheOptions,
        budget: SampleBudget? = nil, sampling: SamplingOptions = .init(), usesChatTemplate: Bool = true,
        maximumNewTokens: Int? = nil,
        maximumPromptTokens: Int? = nil, contextLength: Int? = nil
    ) throws {
        let policy = try (budget?.somePolicy() ?? cache.policy).prepared(for: model)
        let isCalibrated = policy.calibration != nil || policy.compression?.source == .calibration
        self.init(
            benchmark: benchmark, dataset: dataset, samples: samples, model: model.url.lastPathComponent,
            modelFingerprint: try Model.fileDigest(of: model.url),
            policy: budget?.policy.description ?? policy.specification,
            calibration: isCalibrated ? try model.calibration()?.digest : nil,
            capacity: budget == nil ? policy.declaredCapacity : nil,
            cache: cache.statement, usesChatTemplate: usesChatTemplate, maximumNewTokens: maximumNewTokens,
            maximumPromptTokens: maximumPromptTokens, contextLength: contextLength, sampling: sampling.statement,
            seed: Int(sampling.seed))
        self.budget = budget?.description
    }
}

extension CacheOptions {
    /// What a run states of a cache beside its policy: the types of keys and values, and what is not as usual.
    fileprivate var statement: String {
        var parts = [keyType == valueType ? "\(keyType)" : "\(keyType) keys, \(valueType) values"]
        if attention != .automatic { parts.append("\(attention.rawValue) attention") }
        if case .chunked(let size) = prefill { parts.append("prompt in parts of \(size)") }
        return parts.joined(separator: ", ")
    }
}

extension SamplingOptions {
    /// How tokens are chosen, in words; the seed is stated elsewhere.
    fileprivate var statement: String {
        var parts = temperature == 0 ? ["greedy"] : ["temperature=\(temperature)", "topK=\(topK)"]
        if temperature != 0 { parts += ["topP=\(topP)", "minP=\(minP)"] }
        let penalties: [(String, Float, Float)] = [
            ("repeatPenalty", repetitionPenalty, 1), ("frequencyPenalty", frequencyPenalty, 0),
            ("presencePenalty", presencePenalty, 0),
        ]
        parts += penalties.filter { $0.1 != $0.2 }.map { "\($0.0)=\($0.1)" }
        return parts.joined(separator: ",")
    }
}
