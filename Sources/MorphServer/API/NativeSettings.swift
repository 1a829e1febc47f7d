#if Server
internal import MorphKV

/// How an answer is generated, as llama-server states it: in `generation_settings`, and for `/props`.
struct NativeSettings {
    /// What all requests have, and the first of several answers' own.
    let sampling: SamplingOptions
    var maxTokens = -1
    var request: NativeRequest?
    /// GBNF; empty without a grammar.
    var grammar = ""

    var json: JSONValue {
        .object(samplers.merging(others) { $1 })
    }

    private var samplers: [String: JSONValue] {
        [
            "seed": .int(Int(sampling.seed)), "temperature": .float(sampling.temperature),
            "top_k": .int(sampling.topK), "top_p": .float(sampling.topP), "min_p": .float(sampling.minP),
            "repeat_last_n": .int(sampling.penaltyWindow), "repeat_penalty": .float(sampling.repetitionPenalty),
            "presence_penalty": .float(sampling.presencePenalty),
            "frequency_penalty": .float(sampling.frequencyPenalty),
            "samplers": .array((request?.samplers ?? NativeRequest.samplerNames).map(JSONValue.string)),
            "logit_bias": .array(
                sampling.logitBias.sorted { $0.key < $1.key }.map { token, bias in
                    ["token": .int(Int(token)), "bias": bias <= NativeBias.never ? .null : .float(bias)]
                }),
            // What this server does not have, as it is where it does nothing.
            "dynatemp_range": 0, "top_n_sigma": -1, "xtc_probability": 0, "typical_p": 1, "dry_multiplier": 0,
            "mirostat": 0, "adaptive_target": -1, "adaptive_decay": 0, "min_keep": 0, "lora": [],
        ]
    }

    private var others: [String: JSONValue] {
        [
            "n_predict": .int(maxTokens), "max_tokens": .int(maxTokens), "n_keep": .int(request?.nKeep ?? 0),
            "n_discard": 0, "ignore_eos": .bool(request?.ignoreEos == true), "stream": .bool(request?.stream == true),
            "n_probs": .int(request?.nProbs ?? 0), "stop": .array((request?.stop?.all ?? []).map(JSONValue.string)),
            "grammar": .string(grammar), "timings_per_token": .bool(request?.timingsPerToken == true),
            "post_sampling_probs": .bool(request?.postSamplingProbs == true),
        ]
    }
}
#endif
