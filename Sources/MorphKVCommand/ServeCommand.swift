#if Server
internal import ArgumentParser
internal import CAllocator
internal import Foundation
internal import Ggml
internal import Logging
internal import MorphKV
internal import MorphServer

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves OpenAI's HTTP interface and a chat page, in memory that is fixed at the start.",
        discussion: """
            Without --policy the caches are augur's if the model has a calibration, else morphkv's; --capacity is then \
            2048 unless it or --bytes is given. --bytes is a number here, and that of each cache: --parallel and --keep say \
            how many there are.
            """)

    @OptionGroup var models: ServeModelFlags

    @OptionGroup var reading: ReadingFlags

    @Option(help: "The name that requests give for the model (default: the file's).")
    var modelName: String?

    @OptionGroup var interface: ServeInterfaceFlags

    @OptionGroup var cache: CacheFlags

    @Flag(
        inversion: .prefixedNo,
        help: "Pin the system prompts of chats, as far as they fit, so that caches of constant size never drop them.")
    var pinSystem = true

    @OptionGroup var chatTemplate: ChatTemplateFlags

    @Option(help: "What becomes of what models think before they answer: it stays text (none), or is kept apart.")
    var reasoningFormat = ChatInput.ReasoningFormat.auto

    @OptionGroup var contextFlags: ServeContextFlags

    @Option(help: "Sequences that are computed at a time.")
    var parallel = 4

    @Option(help: "Caches beside those, to keep more finished conversations for their next turn.")
    var keep = 0

    @Option(help: "Requests that may wait; more get status 429.")
    var queue = 64

    @Option(help: "Tokens that a prompt may have.")
    var maxPrompt = 32768

    @Option(help: "Tokens that an answer may have, and has at most if the request does not say.")
    var maxTokens = 4096

    @Option(help: "Tokens per sequence for policies whose cache grows.")
    var sequenceTokens = 4096

    @Option(help: "Tokens of a prompt between two steps of running answers.")
    var promptPart = 256

    @Option(help: "The address to listen on; others than this machine's own need --api-key-file or --insecure.")
    var host = "127.0.0.1"

    @Option(help: "The port; 0 takes a free one.")
    var port = 8080

    @Option(help: "A file with one API key per line.")
    var apiKeyFile: String?

    @Flag(help: "Let everybody in who can reach the address.")
    var insecure = false

    @Option(help: "Seconds that a request may take, waiting included.")
    var requestTime = 600.0

    @Option(help: "Seconds that answers may go on after SIGTERM.")
    var shutdownTime = 30.0

    @Option(help: "Bytes that the body of a request may have.")
    var maxBody = 4 << 20

    @Option(help: "Bytes that the grammars of all requests, of schemas and tools, may take together.")
    var maxGrammars = 8 << 20

    @Option(help: "Bytes of streamed answers with an X-Conversation-Id that are kept to be read again; 0: none.")
    var streamBytes = 4 << 20

    @Option(help: "Connections that are open at a time.")
    var maxConnections = 512

    func validate() throws {
        // Here no other thread has asked for memory yet.
        allocator_keep_small()
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ValidationError(what) }
        }
        try models.validate(reading, hasContexts: contextFlags.isStated)
        try require((0...65535).contains(port), "port \(port): 0 to 65535 are possible")
        try require((0.001...1e7).contains(requestTime), "--request-time \(requestTime): 0.001 to 10 million seconds")
        try require((0...1e7).contains(shutdownTime), "--shutdown-time \(shutdownTime): 0 to 10 million seconds")
        try require((1...1 << 30).contains(maxBody), "--max-body \(maxBody): 1 byte to 1 GiB are possible")
        try require((0...1 << 32).contains(maxGrammars), "--max-grammars \(maxGrammars): 0 bytes to 4 GiB are possible")
        try require(
            streamBytes == 0 || (1 << 20...1 << 32).contains(streamBytes),
            "--stream-bytes \(streamBytes): 0, or 1 MiB to 4 GiB")
        try require((1...1 << 16).contains(maxConnections), "--max-connections \(maxConnections): 1 to 65536")
    }

    func run() async throws {
        let configuration = try serverConfiguration()
        var logger = Logger(label: "morphkv") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = reading.verbose ? .debug : .notice
        if let folder = models.modelsDir {
            let folder = try models.folder(folder, reading, queue: queue, options: servingOptions)
            let server = try await CompletionServer(folder, configuration: configuration, logger: logger)
            return try await run(server, configuration) { $0.models.map(models.announcement) ?? "" }
        }
        let model = try reading.load(models.model ?? "")
        var options = try servingOptions(model)
        try contextFlags.apply(to: &options, model)
        let scheduler = try Scheduler(model, options)
        let server = try CompletionServer(scheduler, configuration: configuration, logger: logger)
        try await run(server, configuration) { memory in
            memory.scheduler.map { announcement($0, scheduler.options, scheduler.model.placement) } ?? ""
        }
    }

    /// - Parameter models: what is said of the models' share of the memory.
    private func run(
        _ server: CompletionServer, _ configuration: ServerConfiguration,
        models: @escaping @Sendable (ServerMemory) -> String
    ) async throws {
        try await server.run { port, memory in
            let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
            let said = models(memory) + announcement(memory)
            try? Output.write(said + "listening on http://\(host):\(port)\n")
        }
    }

    @Sendable private func servingOptions(_ model: Model) throws -> ServingOptions {
        var cache = cache
        if !cache.isStated { cache.capacity = 2048 }
        // Models of a folder come and go; the list of them says what their policies are.
        let options = try cache.options(for: model, pins: true, isQuiet: models.modelsDir != nil)
        return ServingOptions(
            cache: options, tokensPerSequence: sequenceTokens, parallel: parallel,
            spareCaches: keep, queueLimit: queue, promptChunk: promptPart, maxPromptTokens: maxPrompt,
            maxTokens: maxTokens, timeLimit: .seconds(requestTime), threads: reading.threadFlags.threads)
    }

    private func serverConfiguration() throws -> ServerConfiguration {
        let file = URL(fileURLWithPath: models.model ?? models.modelsDir ?? "")
        let names = interface.names(modelName ?? file.deletingPathExtension().lastPathComponent)
        var configuration = ServerConfiguration(modelName: names[0])
        configuration.modelAliases = Array(names.dropFirst())
        configuration.modelFile = file.lastPathComponent
        try interface.apply(to: &configuration)
        configuration.isVerbose = reading.verbose
        configuration.host = host
        configuration.port = port
        configuration.maxBodyBytes = maxBody
        // Tools, and a text that could be a prompt: four bytes per token are usual.
        configuration.maxChatBytes = (1 << 20) + 16 * min(maxPrompt, 1 << 30)
        configuration.maxGrammarBytes = maxGrammars
        configuration.streamBytes = streamBytes
        configuration.pinsSystem = pinSystem
        configuration.chatTemplate = try chatTemplate.source()
        configuration.reasoningFormat = reasoningFormat
        configuration.maxConnections = maxConnections
        configuration.shutdownTime = .seconds(shutdownTime)
        if let apiKeyFile {
            configuration.keys = APIKeys(lines: try Input.text(ofFile: apiKeyFile))
            guard !configuration.keys.isEmpty else { throw ValidationError("\(apiKeyFile) has no key in it") }
        }
        guard configuration.isLocal || !configuration.keys.isEmpty || insecure else {
            throw ValidationError(
                "\(host) can be reached from other machines: give --api-key-file, or --insecure to let everybody in")
        }
        return configuration
    }

    /// What the one model takes: every figure in bytes.
    private func announcement(
        _ scheduler: ServingMemory, _ options: ServingOptions, _ placement: DevicePlacement
    ) -> String {
        let count = options.parallel + options.spareCaches
        var text = """
            \(options.cache.policy.specification), \(options.parallel) sequences at a time
            weights      \(Output.bytes(scheduler.weights))
            caches       \(Output.bytes(scheduler.caches)) (\(count) of \(Output.bytes(scheduler.cachePerSequence)))
            compute      \(Output.bytes(scheduler.compute))\n
            """
        if !options.contexts.isEmpty {
            text +=
                "contexts     \(Output.bytes(scheduler.contexts)) (\(options.contexts.count), shared by all sequences)\n"
        }
        if let folder = options.contextFolder {
            text += "on demand    \(Output.bytes(scheduler.contextRoom)) (at most; contexts of --context-dir)\n"
            let longest = "(at most; texts of up to \(folder.tokens) tokens)"
            text += "compressing  \(Output.bytes(scheduler.compression)) \(longest)\n"
        }
        if scheduler.calibration > 0 {
            text += "calibration  \(Output.bytes(scheduler.calibration)) (shared by all sequences)\n"
        }
        if !scheduler.isHost {
            let names = placement.devices.map(\.name).joined(separator: ", ")
            text += "device       \(Output.bytes(scheduler.total)) (of these; on \(names))\n"
        }
        return text
    }

    /// What the process takes besides, and in all, which is also a plain number.
    private func announcement(_ memory: ServerMemory) -> String {
        var text = ""
        if let program = memory.program {
            text += "program      \(Output.bytes(program)) (code, libraries and tables)\n"
        }
        let share = "(at most; \(maxConnections) connections, \(queue) waiting requests)"
        text += "connections  \(Output.bytes(memory.connections)) \(share)\n"
        if let grammars = memory.grammars, grammars > 0 {
            text += "grammars     \(Output.bytes(grammars)) (at most; templates and answers with tools too)\n"
        }
        return text + "stays below  \(Output.bytes(memory.total)) (\(memory.total) bytes)\n"
    }
}
#endif
