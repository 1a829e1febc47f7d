#if Server
internal import MorphKV

/// What took how long, as llama-server states it.
struct Timings: Encodable, Sendable {
    var cacheN: Int
    var promptN: Int
    var promptMs: Double
    var promptPerTokenMs: Double
    var promptPerSecond: Double
    var predictedN: Int
    var predictedMs: Double
    var predictedPerTokenMs: Double
    var predictedPerSecond: Double

    init(_ timings: ServingTimings) {
        func share(_ value: Double, _ count: Double) -> Double { count > 0 ? value / count : 0 }
        cacheN = timings.cachedTokens
        promptN = timings.promptTokens
        promptMs = timings.promptSeconds * 1000
        promptPerTokenMs = share(promptMs, Double(promptN))
        promptPerSecond = share(Double(promptN) * 1000, promptMs)
        predictedN = timings.tokens
        predictedMs = timings.tokenSeconds * 1000
        // The first token comes with the prompt's last step.
        let steps = Double(max(0, predictedN - 1))
        predictedPerTokenMs = share(predictedMs, steps)
        predictedPerSecond = share(steps * 1000, predictedMs)
    }

    var json: JSONValue {
        [
            "cache_n": .int(cacheN), "prompt_n": .int(promptN), "prompt_ms": .double(promptMs),
            "prompt_per_token_ms": .double(promptPerTokenMs), "prompt_per_second": .double(promptPerSecond),
            "predicted_n": .int(predictedN), "predicted_ms": .double(predictedMs),
            "predicted_per_token_ms": .double(predictedPerTokenMs),
            "predicted_per_second": .double(predictedPerSecond),
        ]
    }
}

/// How far a prompt is, as llama-server states it.
struct PromptProgress: Encodable, Sendable {
    var total: Int
    var cache: Int
    var processed: Int
    var timeMs: Double

    init(_ progress: ServingPiece.Progress, _ timings: ServingTimings) {
        (total, cache, processed) = (progress.total, progress.cached, progress.processed)
        timeMs = timings.promptSeconds * 1000
    }

    var json: JSONValue {
        ["total": .int(total), "cache": .int(cache), "processed": .int(processed), "time_ms": .double(timeMs)]
    }
}
#endif
