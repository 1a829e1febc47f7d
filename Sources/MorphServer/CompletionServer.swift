#if Server
internal import HummingbirdCore
internal import HTTPTypes
package import Hummingbird
public import Logging
public import MorphKV
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals

/// An HTTP server that speaks OpenAI's interface, on top of a `Scheduler`.
public struct CompletionServer: Sendable {
    private let scheduler: Scheduler
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let readiness = Readiness()
    private let connections = Connections()
    private let announced = Announced()
    private let completions: CompletionRoutes

    /// Puts a server in front of a scheduler.
    ///
    /// - Throws: ``ServerError`` if the model has no tokenizer, `ModelError` if the configuration's chat template makes no
    ///   sense.
    public init(_ scheduler: Scheduler, configuration: ServerConfiguration, logger: Logger) throws {
        guard let tokenizer = scheduler.model.tokenizer else { throw ServerError.noTokenizer }
        self.scheduler = scheduler
        self.configuration = configuration
        self.logger = logger
        let template = try configuration.chatTemplate.map { try ChatTemplate(tokenizer, source: $0) }
        completions = CompletionRoutes(
            scheduler: scheduler, configuration: configuration, tokenizer: tokenizer,
            responder: Responder(scheduler: scheduler, connections: connections),
            chatFormat: ChatFormat(tokenizer, template: template), lengthNotice: LengthNotice(logger),
            pinNotice: OneTimeWarning(logger), reader: RequestReader(configuration, scheduler))
        for skipped in scheduler.skippedContexts { logger.warning("\(skipped)") }
    }

    // MARK: Routes

    private func router() -> Router<ServerRequestContext> {
        let info = InfoRoutes(
            scheduler: scheduler, configuration: configuration, readiness: readiness, announced: announced)
        let completions = completions
        let native = NativeRoutes(completions)
        let tokens = TokenRoutes(completions: completions)
        let slots = SlotRoutes(
            scheduler: scheduler, configuration: configuration, reader: completions.reader,
            chatTemplate: completions.chatFormat.template?.source ?? "")
        var table = RouteTable()
        table.post("/v1/chat/completions", "/chat/completions", handler: completions.chat)
        table.post("/v1/completions", handler: completions.completion)
        table.post("/completion", "/completions", handler: native.completion)
        table.post("/v1/messages", handler: completions.messages)
        table.post("/v1/messages/count_tokens") { request, _ in try await completions.countTokens(request) }
        table.post("/v1/responses", "/responses", handler: completions.responses)
        table.post("/tokenize") { request, _ in try await tokens.tokenize(request) }
        table.post("/detokenize") { request, _ in try await tokens.detokenize(request) }
        table.post("/apply-template") { request, _ in try await tokens.applyTemplate(request) }
        table.post("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens") { request, _ in
            try await tokens.count(request)
        }
        table.get("/v1/models", "/models") { _, _ in try info.models() }
        table.get("/v1/models/{name}") { _, context in try info.model(context.parameters.require("name")) }
        table.get("/health", "/v1/health") { _, _ in try info.health() }
        table.get("/metrics") { _, _ in try info.metrics() }
        table.get("/props") { _, _ in try slots.properties() }
        table.get("/slots") { request, _ in try slots.slots(request) }
        table.post("/slots/{id}") { request, context in
            try await slots.act(request, context.parameters.require("id"))
        }
        let contexts = ContextRoutes(completions)
        table.get("/v1/contexts") { _, _ in try contexts.list() }
        table.post("/v1/contexts") { request, _ in try await contexts.add(request) }
        table.get("/v1/contexts/{name}") { _, context in try contexts.show(context.parameters.require("name")) }
        table.delete("/v1/contexts/{name}") { _, context in
            try contexts.delete(context.parameters.require("name"))
        }
        let files = configuration.servesPage ? Page.files : [:]
        for (path, file) in files { table.get(path) { _, _ in file.response } }
        return table.router(configuration, open: Set(files.keys + ["/health", "/v1/health"]))
    }

    /// The server as Hummingbird runs it.
    ///
    /// - Parameter onBound: is told the address, just before the first connection is taken.
    package func application(onBound: @escaping @Sendable (SocketAddress) -> Void = { _ in })
        -> some ApplicationProtocol
    {
        let limits = ConnectionGuard.Limits(configuration)
        let connections = connections
        return Application(
            router: router(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ConnectionGuard(limits, connections)],
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil,
                availableConnectionsDelegate: .maximum(configuration.maxConnections, logger: logger)),
            onServerRunning: { channel in channel.localAddress.map(onBound) },
            logger: logger)
    }

    // MARK: Running

    /// Serves until the process is told to end: then answers may go on for a while, but none begins.
    ///
    /// A second signal ends them at once.
    ///
    /// - Parameter onListening: is told the port when the server can be reached and has answered once, and what memory
    ///   it will take at most.
    public func run(onListening: @escaping @Sendable (Int, ServerMemory) async -> Void = { _, _ in }) async throws {
        if !Grammar.isAvailable {
            logger.notice(
                "no structured answers, tools, reasoning or templates but those that libllama knows: this copy of llama.cpp comes without its library common"
            )
        }
        // The scheduler's thread does the work, so an event loop per core would only cost memory.
        NIOSingletons.groupLoopCountSuggestion = 1
        // What is asked before it has answered itself is forgotten with that.
        readiness.warmUp()
        let (addresses, bound) = AsyncStream.makeStream(of: SocketAddress.self)
        var group = ServiceGroupConfiguration(
            services: [.init(service: application { bound.yield($0) })], logger: logger)
        // Connections that have not taken the end of their answer by then are closed.
        group.maximumGracefulShutdownDuration = .seconds(5)
        let services = ServiceGroup(configuration: group)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                // Ends with the services.
                async let _: Void = announce(at: addresses, onListening)
                try await services.run()
            }
            tasks.addTask {
                var ending: Task<Void, Never>?
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                    if let ending { ending.cancel() }
                    ending =
                        ending
                        ?? Task {
                            await drain()
                            await scheduler.stop()
                            await services.triggerGracefulShutdown()
                        }
                }
            }
            defer { tasks.cancelAll() }
            // The signals never end by themselves.
            try await tasks.next()
        }
    }

    /// Warms up, so that the process is as large as it gets without other clients, and says how large that is.
    private func announce(
        at addresses: AsyncStream<SocketAddress>, _ onListening: @Sendable (Int, ServerMemory) async -> Void
    ) async {
        for await address in addresses {
            do {
                try await WarmUpRequests(address: address, key: configuration.keys.any).run()
            } catch {
                logger.warning("the first request, the server's own, failed: \(error)")
            }
            await scheduler.forgetHistory()
            let memory = ServerMemory(scheduler, configuration, ProcessFigures())
            announced.memory = memory
            readiness.begin()
            await onListening(address.port ?? 0, memory)
        }
    }

    /// Takes no more requests, and waits for those that are there, but not for ever.
    private func drain() async {
        logger.info("ending: running answers have \(configuration.shutdownTime) to finish")
        readiness.end()
        scheduler.close()
        let clock = ContinuousClock()
        let limit = clock.now + configuration.shutdownTime
        while !scheduler.isIdle, clock.now < limit {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }
}

/// Why a server cannot be made.
public enum ServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The model has no tokenizer, so it cannot be used with text.
    case noTokenizer

    /// One sentence for a person.
    public var description: String { "the model has no tokenizer; a server needs one" }
}
#endif
