#if Server
internal import Ggml
internal import MorphKV

/// What the server did, in Prometheus's text format.
struct MetricsText {
    /// All samples of one name.
    private struct Family {
        let head: String
        var samples = ""
    }

    private var families: [Family] = []
    private var indices: [String: Int] = [:]
    /// The model that samples are of; nil where there is only one.
    private var model: String?

    /// The whole text.
    var text: String { families.reduce(into: "") { $0 += $1.head + $1.samples } }

    /// - Parameter announced: the memory that was announced, if it was.
    init(_ scheduler: Scheduler, _ announced: ServerMemory?) {
        addFigures(of: scheduler)
        addMemory(announced)
    }

    /// Of the models of a folder.
    ///
    /// - Parameter waiting: requests that wait for their models.
    init(_ models: [ModelEntry], waiting: Int, _ announced: ServerMemory?) {
        for entry in models {
            model = entry.file.name
            gauge("model_loaded", "Whether the model is in memory.", entry.state.model == nil ? 0 : 1)
            counter("model_loads_total", "How often the model was brought into memory.", entry.loads)
            if let bytes = entry.bytes { gauge("model_bytes", "Bytes that the model takes at most.", bytes) }
            if let model = entry.state.model { addFigures(of: model.scheduler) }
        }
        model = nil
        gauge("models_waited_for", "Requests that wait for their models.", waiting)
        if let room = announced?.models?.room {
            gauge("models_bytes_limit", "Bytes that loaded models take together at most.", room)
        }
        addMemory(announced)
    }

    private mutating func addFigures(of scheduler: Scheduler) {
        let (statistics, memory, options) = (scheduler.statistics, scheduler.memory, scheduler.options)
        let outcomes = ServingStatistics.Outcome.allCases.map { outcome in
            ("outcome=\"\(outcome.rawValue)\"", Double(statistics.outcomes[outcome] ?? 0))
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
    }

    /// What the process takes.
    private mutating func addMemory(_ announced: ServerMemory?) {
        if let announced {
            gauge("announced_bytes", "Bytes that the process stays below.", announced.total)
            if let program = announced.program {
                gauge("program_bytes", "Bytes of code, libraries and tables, measured at the start.", program)
            }
            gauge("connection_bytes_limit", "Bytes that connections and requests take at most.", announced.connections)
            if let grammars = announced.grammars {
                gauge("grammar_bytes_limit", "Bytes that grammars and chat templates take at most.", grammars)
            }
        }
        if !RemoteHost.all.isEmpty {
            let (sent, received) = (RemoteHost.traffic.sent, RemoteHost.traffic.received)
            let bytes = [("direction=\"sent\"", Double(sent)), ("direction=\"received\"", Double(received))]
            add("worker_bytes_total", "counter", "Bytes to and from the machines of --workers.", bytes)
        }
        if let figures = ProcessFigures() {
            add(whole: "process_resident_memory_bytes", "gauge", nil, Double(figures.residentBytes))
            add(whole: "process_open_fds", "gauge", nil, Double(figures.openFiles))
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
        for (label, value) in values { sample("morphkv_\(name)", type, help, "", label, Self.number(value)) }
    }

    private mutating func add(whole name: String, _ type: String, _ help: String?, _ value: Double) {
        sample(name, type, help, "", "", Self.number(value))
    }

    /// - Parameters:
    ///   - suffix: what follows the family's name.
    ///   - label: one label, or nothing.
    private mutating func sample(
        _ name: String, _ type: String, _ help: String?, _ suffix: String, _ label: String, _ value: String
    ) {
        let index = indices[name] ?? families.count
        if index == families.count {
            let help = help.map { "# HELP \(name) \($0)\n" } ?? ""
            families.append(Family(head: help + "# TYPE \(name) \(type)\n"))
            indices[name] = index
        }
        let labels = [model.map { "model=\"\(Self.escaped($0))\"" } ?? "", label].filter { !$0.isEmpty }
        let list = labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
        families[index].samples += "\(name)\(suffix)\(list) \(value)\n"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private mutating func histogram(_ name: String, _ help: String, _ histogram: ServingStatistics.Histogram) {
        let name = "morphkv_\(name)"
        var count = 0
        for (index, bound) in (histogram.bounds + [.infinity]).enumerated() {
            count += histogram.counts[index]
            let label = bound.isInfinite ? "+Inf" : "\(bound)"
            sample(name, "histogram", help, "_bucket", "le=\"\(label)\"", "\(count)")
        }
        sample(name, "histogram", help, "_sum", "", "\(histogram.sum)")
        sample(name, "histogram", help, "_count", "", "\(count)")
    }

    /// The same by the names of llama-server, for what watches one; nothing is drafted here.
    private mutating func addLlamaServerNames(_ statistics: ServingStatistics) {
        let (steps, parts) = (statistics.stepSeconds, statistics.chunkSeconds)
        let stepCount = steps.counts.reduce(0, +)
        func rate(_ count: Int, _ seconds: Double) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
        func add(_ name: String, _ type: String, _ help: String, _ value: Double) {
            self.add(whole: "llamacpp:\(name)", type, help, value)
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
