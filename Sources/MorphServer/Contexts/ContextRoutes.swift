#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV

/// `/v1/contexts`: texts that are compressed between the steps of running answers.
struct ContextRoutes: Sendable {
    let scheduler: Scheduler
    let tokenizer: Tokenizer
    let chatFormat: ChatFormat
    let reader: RequestReader

    init(_ completions: CompletionRoutes) {
        scheduler = completions.scheduler
        tokenizer = completions.tokenizer
        chatFormat = completions.chatFormat
        reader = completions.reader
    }

    private static let missing = APIError.notBuilt("contexts made over HTTP: it was started without --context-dir")

    func add(_ request: Request) async throws -> Response {
        guard scheduler.options.contextFolder != nil else { throw Self.missing }
        let context = try await reader.understand(request) { body in
            let wanted = try Coding.decode(ContextRequest.self, from: body)
            let text = try wanted.contextText(body, tokenizer, chatFormat)
            do { return try scheduler.compress(text) } catch { throw Self.error(error) }
        }
        var response = try Response.json(Self.card(context), status: .accepted)
        response.headers[.location] = "/v1/contexts/\(context.name)"
        return response
    }

    func list() throws -> Response {
        let (figures, folder) = (scheduler.contextFigures, scheduler.options.contextFolder)
        return try Response.json([
            "object": "list", "data": .array(scheduler.servedContexts.map(Self.card)),
            "can_add": .bool(folder != nil), "chat": .bool((try? chatFormat.tokensBeforeContext()) != nil),
            "max_tokens": .int(scheduler.contextTokens), "max_bytes": .int(folder?.bytes ?? 0),
            "resident_bytes": .int(figures.bytes),
        ])
    }

    func show(_ name: String) throws -> Response {
        guard let context = scheduler.servedContext(name) else { throw Self.unknown(name) }
        return try Response.json(Self.card(context))
    }

    func delete(_ name: String) throws -> Response {
        guard scheduler.options.contextFolder != nil else { throw Self.missing }
        guard scheduler.servedContext(name) != nil else { throw Self.unknown(name) }
        try scheduler.deleteContext(name)
        return try Response.json(["id": .string(name), "object": "context.deleted", "deleted": true])
    }

    private static func unknown(_ name: String) -> APIError {
        .notFound("the context '\(name.prefix(100))' does not exist here", param: "name", code: "context_not_found")
    }

    /// An error about a text that is to become a context, with the field that it is about.
    private static func error(_ error: any Error) -> any Error {
        guard var told = APIError(error), told.status == .badRequest else { return error }
        if told.param == nil || told.param == "morphkv" { told.param = "text" }
        return told
    }

    private static func card(_ context: ServedContext) -> JSONValue {
        var members: [String: JSONValue] = [
            "id": .string(context.name), "object": "context", "tokens": .int(context.tokens),
            "bytes": .int(context.bytes), "ratio": .double(context.ratio), "in_use": .int(context.uses),
            "resident": .bool(context.isResident), "permanent": .bool(context.isPermanent),
        ]
        switch context.state {
        case .waiting: members["state"] = "waiting"
        case .compressing(let fraction, let seconds):
            members["state"] = "compressing"
            members["fraction"] = .double((fraction * 1000).rounded() / 1000)
            members["seconds"] = .double((seconds * 10).rounded() / 10)
        case .ready: members["state"] = "ready"
        case .failed(let why):
            members["state"] = "failed"
            members["error"] = .string(why)
        }
        return .object(members)
    }
}
#endif
