#if Server
internal import Foundation
internal import Ggml
internal import HummingbirdCore
internal import HTTPTypes
package import Hummingbird
public import Logging
public import MorphKV
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals

/// An HTTP server that speaks OpenAI's interface, on top of a `Scheduler`, or of several that come and go.
public struct CompletionServer: Sendable {
    private let models: ServedModels
    private let configuration: ServerConfiguration
    private let parts: ServerParts
    private var logger: Logger { parts.logger }
    private var readiness: Readiness { parts.readiness }

    /// Puts a server in front of a scheduler.
    ///
    /// - Throws: ``ServerError`` if the model has no tokenizer, `ModelError` if the configuration's chat template makes no
    ///   sense.
    public init(_ scheduler: Scheduler, configuration: ServerConfiguration, logger: Logger) throws {
        parts = ServerParts(configuration, logger)
        self.configuration = configuration
        models = .one(try ServedModel(scheduler, configuration, parts))
        for skipped in scheduler.skippedContexts { logger.warning("\(skipped)") }
    }

    /// Puts a server in front of a folder of models, which are loaded when they are asked for. A file that cannot be used is
    /// listed with what is wrong with it.
    ///
    /// - Parameters:
    ///   - folder: where the models are, and what each may use.
    ///   - configuration: its names of the model do not count: every model has its file's.
    ///   - logger: for what happens later.
    /// - Throws: what the system says if the folder cannot be read; ``ServerError`` if there is no model in it.
    public init(_ folder: ModelFolder, configuration: ServerConfiguration, logger: Logger) async throws {
        parts = ServerParts(configuration, logger)
        self.configuration = configuration
        let pool = ModelPool(ModelLoader(folder, configuration, parts))
        try await pool.read()
        guard await !pool.all.isEmpty else { throw ServerError.noModels(folder.url.path) }
        models = .folder(pool)
    }

    // MARK: Routes

    private func router() -> Router<ServerRequestContext> {
        var table = RouteTable()
        func post(_ paths: String..., handler: @escaping ServedModels.Handler) {
            table.add(.post, paths, models.handler(handler))
        }
        func get(_ paths: String..., handler: @escaping ServedModels.Handler) {
            table.add(.get, paths, models.handler(handler))
        }
        post("/v1/chat/completions", "/chat/completions") { try await $0.completions.chat($1, context: $2) }
        post("/v1/completions") { try await $0.completions.completion($1, context: $2) }
        post("/completion", "/completions") { try await $0.native.completion($1, context: $2) }
        post("/v1/messages") { try await $0.completions.messages($1, context: $2) }
        post("/v1/messages/count_tokens") { model, request, _ in try await model.completions.countTokens(request) }
        post("/v1/responses", "/responses") { try await $0.completions.responses($1, context: $2) }
        post("/v1/responses/input_tokens", "/responses/input_tokens") { model, request, _ in
            try await model.completions.countInput(request)
        }
        post("/tokenize") { model, request, _ in try await model.tokens.tokenize(request) }
        post("/detokenize") { model, request, _ in try await model.tokens.detokenize(request) }
        get("/tokenizer_info") { model, _, _ in try model.tokens.info() }
        post("/apply-template") { model, request, _ in try await model.tokens.applyTemplate(request) }
        post("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens") { model, request, _ in
            try await model.tokens.count(request)
        }
        get("/slots") { model, request, _ in try model.slots.slots(request) }
        post("/slots/{id}") { model, request, context in
            try await model.slots.act(request, context.parameters.require("id"))
        }
        let streams = StreamRoutes(answers: parts.kept, reader: parts.reader)
        table.get("/v1/stream") { try await streams.read($0, context: $1) }
        table.delete("/v1/stream") { try await streams.cancel($0, context: $1) }
        table.post("/v1/streams/lookup") { try await streams.lookup($0, context: $1) }
        switch models {
        case .one(let model): addInfo(of: model, to: &table)
        case .folder(let pool): addInfo(of: pool, to: &table)
        }
        let files = configuration.servesPage ? Page.files : [:]
        for (path, file) in files { table.get(path) { _, _ in file.response } }
        return table.router(configuration, open: Set(files.keys + ["/health", "/v1/health"]))
    }

    private func addInfo(of model: ServedModel, to table: inout RouteTable) {
        let (info, slots) = (model.info, model.slots)
        table.get("/v1/models", "/models") { _, _ in try info.models() }
        table.get("/v1/models/{name}") { _, context in try info.model(context.parameters.require("name")) }
        table.get("/health", "/v1/health") { _, _ in try info.health() }
        table.get("/metrics") { _, _ in try info.metrics() }
        table.get("/props") { _, _ in try slots.properties() }
        let contexts = ContextRoutes(model.completions)
        table.get("/v1/contexts") { _, _ in try contexts.list() }
        table.post("/v1/contexts") { request, _ in try await contexts.add(request) }
        table.get("/v1/contexts/{name}") { _, context in try contexts.show(context.parameters.require("name")) }
        table.delete("/v1/contexts/{name}") { _, context in
            try contexts.delete(context.parameters.require("name"))
        }
    }

    private func addInfo(of pool: ModelPool, to table: inout RouteTable) {
        let info = PoolRoutes(pool)
        let properties = models.handler { model, _, _ in try model.slots.properties() }
        table.get("/v1/models", "/models") { _, _ in try await info.models() }
        // Names of models in folders of the folder have slashes.
        table.get("/v1/models/**") { _, context in
            try await info.model(context.parameters.getCatchAll().joined(separator: "/"))
        }
        table.get("/health", "/v1/health") { _, _ in try info.health() }
        table.get("/metrics") { _, _ in try await info.metrics() }
        table.get("/props") { request, context in
            let isNamed = request.uri.queryParameters["model"] != nil
            return try await isNamed ? properties(request, context) : info.properties()
        }
        table.post("/models/load") { request, _ in try await info.load(request) }
        table.post("/models/unload") { request, _ in try await info.unload(request) }
    }

    /// The server as Hummingbird runs it.
    ///
    /// - Parameter onBound: is told the address, just before the first connection is taken.
    package func application(onBound: @escaping @Sendable (SocketAddress) -> Void = { _ in })
        -> some ApplicationProtocol
    {
        let limits = ConnectionGuard.Limits(configuration)
        let connections = parts.connections
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
    /// - Throws: ``ServerError/workerLost(_:)`` after requests were refused, when a machine went away that a part of a model is on;
    ///   what was there of the model has gone with it.
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
                async let _: Void = endWithWorkers(services)
                try await services.run()
            }
            tasks.addTask {
                var ending: Task<Void, Never>?
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                    if let ending { ending.cancel() }
                    ending = ending ?? Task { await end(services) }
                }
            }
            defer { tasks.cancelAll() }
            // The signals never end by themselves.
            try await tasks.next()
            if let lost = models.hosts.lost { throw ServerError.workerLost(lost.address) }
        }
    }

    /// Ends when a worker is lost, after every request had its error.
    private func endWithWorkers(_ services: ServiceGroup) async throws {
        guard !models.hosts.isEmpty else { return }
        let lost = try await models.hosts.untilOneIsLost()
        logger.error("worker \(lost.address) was lost: the server ends")
        await end(services)
    }

    private func end(_ services: ServiceGroup) async {
        await drain()
        await models.stop()
        await services.triggerGracefulShutdown()
    }

    /// Warms up, so that the process is as large as it gets without other clients, and says how large that is.
    private func announce(
        at addresses: AsyncStream<SocketAddress>, _ onListening: @Sendable (Int, ServerMemory) async -> Void
    ) async {
        for await address in addresses {
            let memory =
                switch models {
                case .one(let model): await memory(of: model, at: address)
                case .folder(let pool): await memory(of: pool, at: address)
                }
            parts.announced.memory = memory
            readiness.begin()
            await onListening(address.port ?? 0, memory)
        }
    }

    private func memory(of model: ServedModel, at address: SocketAddress) async -> ServerMemory {
        await warmUp(at: address)
        await model.scheduler.forgetHistory()
        return ServerMemory(model.scheduler, configuration, ProcessFigures())
    }

    /// The smallest model comes and goes, so that what stays of models is there when the process is measured.
    private func memory(of pool: ModelPool, at address: SocketAddress) async -> ServerMemory {
        let sizes = await pool.sizes.filter { $0.bytes != nil }.sorted { $0.bytes! < $1.bytes! }
        await pool.shut()
        for model in sizes {
            guard let lease = try? await pool.lease(model.name, isOwn: true) else { continue }
            await warmUp(at: address)
            withExtendedLifetime(lease) {}
            break
        }
        await pool.unloadAll()
        let memory = ServerMemory(await pool.sizes, limit: pool.loader.folder.memory, configuration, ProcessFigures())
        await pool.open(room: memory.models?.room ?? 0)
        return memory
    }

    private func warmUp(at address: SocketAddress) async {
        do {
            try await WarmUpRequests(address: address, key: configuration.keys.any).run()
        } catch {
            logger.warning("the first request, the server's own, failed: \(error)")
        }
    }

    /// Takes no more requests, and waits for those that are there, but not for ever.
    private func drain() async {
        logger.info("ending: running answers have \(configuration.shutdownTime) to finish")
        readiness.end()
        await models.close()
        let clock = ContinuousClock()
        let limit = clock.now + configuration.shutdownTime
        while await !models.isIdle, clock.now < limit {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }
}

/// Why a server cannot be made.
public enum ServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The model has no tokenizer, so it cannot be used with text.
    case noTokenizer
    /// There is no model in the folder of that path.
    case noModels(String)
    /// The machine of that address went away, which a part of a model was on.
    case workerLost(String)

    /// One sentence for a person.
    public var description: String {
        switch self {
        case .noTokenizer: "the model has no tokenizer; a server needs one"
        case .workerLost(let address): "worker \(address) was lost"
        case .noModels(let path): "there is no GGUF file of a model in \(path)"
        }
    }
}
#endif
