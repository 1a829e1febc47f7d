#if Server
internal import MorphKV

/// What the server did, in Prometheus's text format.
struct MetricsText {
    private(set) var text = ""

    /// - Parameter announced: the memory that was announced, if it was.
    init(_ scheduler: Scheduler, _ announced: ServerMemory?) {
        let (statistics, memory, options) = (scheduler.statistics, scheduler.memory, scheduler.options)
        let outcomes = ServingStatistics.Outcome.allCases.map { outcome in
            ("{outcome=\"\(outcome.rawValue)\"}", Double(statistics.outcomes[outcome] ?? 0))
        }
        add("requests_total", "counter", "Ended requests by how they ended.", outcomes)
        gauge("requests_running", "Sequences that are being computed.", statistics.running)
        gauge("requests_waiting", "Requests that wait for a sequence.", statistics.waiting)
        gauge("sequences", "Sequences that can be computed at a time.", options.parallel)
        gauge("queue_limit", "Requests that may wait.", options.queueLimit)
        gauge("conversations_kept", "Finished conversations whose cache is kept.", statistics.keptConversations)
        counter("prompt_tokens_total", "Prompt tokens that were computed.", statistics.promptTokens)
        counter("cached_tokens_total", "Prompt tokens that a kept cache had seen.", statistics.cachedTokens)
        counter("pinned_tokens_total", "Computed prompt tokens that are never evicted.", statistics.pinnedTokens)
        counter("generated_tokens_total", "Tokens that were generated.", statistics.generatedTokens)
        counter("evicted_tokens_total", "Tokens that caches dropped to keep their size.", statistics.evictedTokens)
        gauge("cache_bytes_planned", "Bytes of all caches.", statistics.cacheBytesPlanned)
        gauge("cache_bytes_used", "Bytes of cache entries that hold something.", statistics.cacheBytesUsed)
        gauge("weight_bytes", "Bytes of the weights.", memory.weights)
        gauge("context_bytes", "Bytes of the contexts of the start, which all sequences share.", memory.contexts)
        addContexts(scheduler.contextFigures, memory)
        gauge("calibration_bytes", "Bytes of the model's calibration, which all sequences share.", memory.calibration)
        gauge("compute_bytes", "Bytes of intermediate results.", memory.compute)
        histogram("step_seconds", "One step of all running answers.", statistics.stepSeconds)
        histogram("prompt_part_seconds", "One part of a prompt.", statistics.chunkSeconds)
        histogram("token_gap_seconds", "Between two tokens of an answer.", statistics.gapSeconds)
        histogram("first_token_seconds", "From the request to its first token.", statistics.firstTokenSeconds)
        histogram("request_seconds", "From the request to the end of its answer.", statistics.requestSeconds)
        addLlamaServerNames(statistics)
        if let announced {
            gauge("announced_bytes", "Bytes that the process stays below.", announced.total)
            if let program = announced.program {
                gauge("program_bytes", "Bytes of code, libraries and tables, measured at the start.", program)
            }
            gauge("connection_bytes_limit", "Bytes that connections and requests take at most.", announced.connections)
        }
        if let figures = ProcessFigures() {
            text += "# TYPE process_resident_memory_bytes gauge\n"
            text += "process_resident_memory_bytes \(figures.residentBytes)\n"
            text += "# TYPE process_open_fds gauge\nprocess_open_fds \(figures.openFiles)\n"
        }
    }

    private mutating func addContexts(_ figures: ContextFigures, _ memory: ServingMemory) {
        gauge("contexts", "Contexts that requests can follow.", figures.ready)
        gauge("contexts_resident", "Those of them that are in memory.", figures.resident)
        gauge("contexts_resident_bytes", "Bytes of those in memory that were made over HTTP.", figures.bytes)
        gauge("contexts_bytes_limit", "Bytes that these take at most.", memory.contextRoom)
        gauge("compressions_running", "Texts that are being compressed.", figures.compressing)
        gauge("compressions_waiting", "Texts that wait to be compressed.", figures.waiting)
        gauge("compression_bytes_limit", "Bytes that compressing a text takes at most.", memory.compression)
    }

    private mutating func counter(_ name: String, _ help: String, _ value: Int) {
        add(name, "counter", help, [("", Double(value))])
    }

    private mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        add(name, "gauge", help, [("", Double(value))])
    }

    private mutating func add(_ name: String, _ type: String, _ help: String, _ values: [(String, Double)]) {
        text += "# HELP morphkv_\(name) \(help)\n# TYPE morphkv_\(name) \(type)\n"
        for (labels, value) in values { text += "morphkv_\(name)\(labels) \(Self.number(value))\n" }
    }

    private mutating func histogram(_ name: String, _ help: String, _ histogram: ServingStatistics.Histogram) {
        text += "# HELP morphkv_\(name) \(help)\n# TYPE morphkv_\(name) histogram\n"
        var count = 0
        for (index, bound) in (histogram.bounds + [.infinity]).enumerated() {
            count += histogram.counts[index]
            let label = bound.isInfinite ? "+Inf" : "\(bound)"
            text += "morphkv_\(name)_bucket{le=\"\(label)\"} \(count)\n"
        }
        text += "morphkv_\(name)_sum \(histogram.sum)\nmorphkv_\(name)_count \(count)\n"
    }

    /// The same by the names of llama-server, for what watches one; nothing is drafted here.
    private mutating func addLlamaServerNames(_ statistics: ServingStatistics) {
        let (steps, parts) = (statistics.stepSeconds, statistics.chunkSeconds)
        let stepCount = steps.counts.reduce(0, +)
        func rate(_ count: Int, _ seconds: Double) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
        func add(_ name: String, _ type: String, _ help: String, _ value: Double) {
            text += "# HELP llamacpp:\(name) \(help)\n# TYPE llamacpp:\(name) \(type)\n"
            text += "llamacpp:\(name) \(Self.number(value))\n"
        }
        let (prompt, generated) = (statistics.promptTokens, statistics.generatedTokens)
        add("prompt_tokens_total", "counter", "Prompt tokens that were computed.", Double(prompt))
        add("prompt_tokens_cached_total", "counter", "Prompt tokens that were kept.", Double(statistics.cachedTokens))
        add("prompt_seconds_total", "counter", "Seconds of prompts.", parts.sum)
        add("tokens_predicted_total", "counter", "Tokens that were generated.", Double(generated))
        add("tokens_predicted_seconds_total", "counter", "Seconds of steps.", steps.sum)
        add("n_decode_total", "counter", "Steps and parts of prompts.", Double(stepCount + parts.counts.reduce(0, +)))
        add("n_tokens_max", "counter", "Tokens of the longest sequence.", Double(statistics.mostTokens))
        for name in ["num_draft_tokens", "num_accepted_tokens", "num_drafts"] {
            add("spec_decode_\(name)_total", "counter", "Always 0: nothing is drafted.", 0)
        }
        add("prompt_tokens_seconds", "gauge", "Prompt tokens per second.", rate(prompt, parts.sum))
        add("predicted_tokens_seconds", "gauge", "Tokens per second.", rate(generated, steps.sum))
        add("requests_processing", "gauge", "Requests that are computed.", Double(statistics.running))
        add("requests_deferred", "gauge", "Requests that wait.", Double(statistics.waiting))
        let batch = stepCount > 0 ? Double(generated) / Double(stepCount) : 0
        add("n_busy_slots_per_decode", "gauge", "Tokens per step.", batch)
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }
}
#endif
