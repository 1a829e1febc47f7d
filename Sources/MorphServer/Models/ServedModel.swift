#if Server
internal import Ggml
internal import Hummingbird
internal import Logging
internal import MorphKV

/// What all models of a server have in common.
struct ServerParts: Sendable {
    let readiness = Readiness()
    let connections = Connections()
    let announced = Announced()
    let reader: RequestReader
    let grammars: GrammarBudget
    let kept: KeptAnswers
    let logger: Logger

    init(_ configuration: ServerConfiguration, _ logger: Logger) {
        reader = RequestReader(configuration)
        grammars = GrammarBudget(capacity: configuration.maxGrammarBytes)
        kept = KeptAnswers(capacity: configuration.streamBytes)
        self.logger = logger
    }
}

/// One model in memory, with everything that answers for it.
final class ServedModel: Sendable {
    let scheduler: Scheduler
    let info: InfoRoutes
    let completions: CompletionRoutes
    let native: NativeRoutes
    let tokens: TokenRoutes
    let slots: SlotRoutes

    /// - Parameter configuration: with this model's names.
    /// - Throws: ``ServerError`` if the model has no tokenizer, `ModelError` if the configuration's chat template makes no
    ///   sense.
    init(_ scheduler: Scheduler, _ configuration: ServerConfiguration, _ parts: ServerParts) throws {
        guard let tokenizer = scheduler.model.tokenizer else { throw ServerError.noTokenizer }
        self.scheduler = scheduler
        let template = try configuration.chatTemplate.map { try ChatTemplate(tokenizer, source: $0) }
        completions = CompletionRoutes(
            scheduler: scheduler, configuration: configuration, tokenizer: tokenizer,
            responder: Responder(scheduler: scheduler, connections: parts.connections, kept: parts.kept),
            chatFormat: ChatFormat(tokenizer, template: template), lengthNotice: LengthNotice(parts.logger),
            pinNotice: OneTimeWarning(parts.logger), reader: parts.reader.reading(for: scheduler),
            grammars: parts.grammars)
        info = InfoRoutes(
            scheduler: scheduler, configuration: configuration, readiness: parts.readiness,
            announced: parts.announced)
        native = NativeRoutes(completions)
        tokens = TokenRoutes(completions: completions)
        slots = SlotRoutes(
            scheduler: scheduler, configuration: configuration, reader: parts.reader,
            chatTemplate: completions.chatFormat.template?.source ?? "")
    }
}

/// The models of a server: one from its start to its end, or those of a folder as they are asked for.
enum ServedModels: Sendable {
    case one(ServedModel)
    case folder(ModelPool)

    typealias Handler = @Sendable (ServedModel, Request, ServerRequestContext) async throws -> Response

    /// What answers a request by the model that it names.
    func handler(_ answer: @escaping Handler) -> RouteTable.Handler {
        switch self {
        case .one(let model): { try await answer(model, $0, $1) }
        case .folder(let pool): { try await ModelDispatch(pool: pool).respond($0, $1, answer) }
        }
    }

    /// The other machines that models are on.
    var hosts: [RemoteHost] {
        switch self {
        case .one(let model): model.scheduler.model.placement.devices.compactMap(\.host)
        case .folder(let pool): pool.loader.folder.reading.devices.compactMap(\.host)
        }
    }

    // MARK: Ending

    /// Takes no more requests.
    func close() async {
        switch self {
        case .one(let model): model.scheduler.close()
        case .folder(let pool): await pool.close()
        }
    }

    /// Whether nothing runs and nothing waits.
    var isIdle: Bool {
        get async {
            switch self {
            case .one(let model): model.scheduler.isIdle
            case .folder(let pool): await pool.isIdle
            }
        }
    }

    /// Ends what still runs.
    func stop() async {
        switch self {
        case .one(let model): await model.scheduler.stop()
        case .folder(let pool): await pool.stop()
        }
    }
}
#endif
