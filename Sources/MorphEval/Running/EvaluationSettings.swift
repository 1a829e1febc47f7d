/// What tells one run from another.
///
/// Every line of a result file states it, and a file holds lines of one run only.
public struct EvaluationSettings: Sendable, Hashable {
    /// The benchmark's name.
    public var benchmark: String
    /// The part of the benchmark.
    public var dataset: String
    /// How many samples the whole run has.
    public var samples: Int
    /// A digest of the names and contents of all of them.
    public var selection: String
    /// The name of the model's file.
    public var model: String
    /// A digest of the model's content.
    public var modelFingerprint: String
    /// The policy, as text.
    public var policy: String
    /// Which calibration of the model the policy was under; `nil` if it needs none.
    public var calibration: String?
    /// Entries per KV head; `nil` if the cache grows, or has as many as fit into ``budget``.
    public var capacity: Int?
    /// The bytes that the cache of a sample may take, in words; `nil` if its capacity is stated.
    public var budget: String?
    /// The type of stored keys and values, and how a prompt enters the cache.
    public var cache: String
    /// Whether prompts were put into the model's chat template where the benchmark wants it.
    public var usesChatTemplate: Bool
    /// The user's limit of tokens for an answer; `nil` for the benchmark's own.
    public var maximumNewTokens: Int?
    /// The user's limit of tokens for a prompt; `nil` for what the model's context has room for.
    public var maximumPromptTokens: Int?
    /// The context length that the model was loaded for; `nil` for the trained one.
    public var contextLength: Int?
    /// How tokens are chosen, "greedy" or the parameters.
    public var sampling: String
    /// The seed of the random choice.
    public var seed: Int

    /// States the settings; those of a model of this package come from
    /// ``init(_:dataset:samples:model:cache:budget:sampling:usesChatTemplate:maximumNewTokens:maximumPromptTokens:contextLength:)``.
    public init(
        benchmark: String, dataset: String, samples: [EvaluationSample], model: String, modelFingerprint: String,
        policy: String, calibration: String? = nil, capacity: Int?, cache: String = "f16",
        usesChatTemplate: Bool = true, maximumNewTokens: Int? = nil, maximumPromptTokens: Int? = nil,
        contextLength: Int? = nil, sampling: String = "greedy", seed: Int = 0
    ) {
        self.benchmark = benchmark
        self.dataset = dataset
        self.samples = samples.count
        selection = Self.selection(of: samples)
        self.model = model
        self.modelFingerprint = modelFingerprint
        self.policy = policy
        self.calibration = calibration
        self.capacity = capacity
        self.cache = cache
        self.usesChatTemplate = usesChatTemplate
        self.maximumNewTokens = maximumNewTokens
        self.maximumPromptTokens = maximumPromptTokens
        self.contextLength = contextLength
        self.sampling = sampling
        self.seed = seed
    }

    private static func selection(of samples: [EvaluationSample]) -> String {
        let names = samples.map { "\($0.id) \($0.digest)" }
        return String(SHA256.hexadecimal(of: names.joined(separator: "\n")).prefix(16))
    }
}

extension EvaluationSettings {
    /// The settings as the member `run` of a result line.
    var json: JSONValue {
        .object(
            [JSONMember]([
                "benchmark": .string(benchmark), "dataset": .string(dataset), "samples": .integer(samples),
                "selection": .string(selection), "model": .string(model),
                "model_fingerprint": .string(modelFingerprint), "policy": .string(policy),
                "calibration": JSONValue(calibration), "capacity": JSONValue(capacity), "cache": .string(cache),
                "chat_template": .bool(usesChatTemplate),
                "max_tokens": JSONValue(maximumNewTokens), "max_prompt_tokens": JSONValue(maximumPromptTokens),
                "context_length": JSONValue(contextLength), "sampling": .string(sampling), "seed": .integer(seed),
                "budget": JSONValue(budget),
            ]))
    }

    /// Reads the settings of a result line.
    ///
    /// - Throws: ``EvaluationError`` of kind `format` if the line has none.
    init(of line: JSONRecord) throws {
        guard line.has("run") else {
            throw line.problem("it does not say which run it belongs to; `morphkv eval` writes such files")
        }
        let run = try line.record("run")
        benchmark = try run.text("benchmark")
        dataset = try run.text("dataset")
        samples = try run.integer("samples")
        selection = try run.text("selection")
        model = try run.text("model")
        modelFingerprint = try run.text("model_fingerprint")
        policy = try run.text("policy")
        calibration = try run.has("calibration") ? run.text("calibration") : nil
        capacity = try run.has("capacity") ? run.integer("capacity") : nil
        cache = try run.text("cache")
        usesChatTemplate = run.value["chat_template"] == .bool(true)
        maximumNewTokens = try run.has("max_tokens") ? run.integer("max_tokens") : nil
        maximumPromptTokens = try run.has("max_prompt_tokens") ? run.integer("max_prompt_tokens") : nil
        contextLength = try run.has("context_length") ? run.integer("context_length") : nil
        sampling = try run.text("sampling")
        seed = try run.integer("seed")
        budget = try run.has("budget") ? run.text("budget") : nil
    }

    /// In what two runs differ, in words: "capacity 64 and 128"; empty if they are the same.
    func differences(from other: EvaluationSettings) -> [String] {
        zip(json.members ?? [], other.json.members ?? []).filter { $0.value != $1.value }.map { mine, theirs in
            let name = mine.name.split(separator: "_").joined(separator: " ")
            let values = [mine.value, theirs.value].map { $0.plainText ?? $0.line }
            return "\(name) \(values[0]) and \(values[1])"
        }
    }
}
