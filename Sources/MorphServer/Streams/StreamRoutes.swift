#if Server
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// `/v1/stream` and `/v1/streams/lookup`, as llama-server has them: answers that can be read again.
struct StreamRoutes: Sendable {
    let answers: KeptAnswers
    let reader: RequestReader

    private static let missing = APIError.notBuilt("answers to read again: it was started with --stream-bytes 0")

    private func name(_ request: Request, _ context: ServerRequestContext) throws -> KeptAnswers.Name {
        guard answers.isOpen else { throw Self.missing }
        guard let id = request.uri.queryParameters["conv_id"], !id.isEmpty else {
            throw APIError.invalid("'conv_id' is missing in the address", param: "conv_id")
        }
        return KeptAnswers.Name(owner: context.key, id: String(id))
    }

    func read(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let name = try name(request, context)
        guard let ticket = answers.find(name) else {
            guard answers.isWaiting(name) else {
                throw APIError.notFound("there is no such answer, or it is not kept any more", param: "conv_id")
            }
            throw APIError(
                status: .serviceUnavailable, message: "the answer waits for its model", type: "server_error",
                param: "conv_id", code: "model_loading", headers: [.retryAfter: "1"])
        }
        let from = request.uri.queryParameters["from"] ?? "0"
        guard let offset = Int(from), offset >= 0 else {
            throw APIError.invalid("'from' is a number of bytes", param: "from")
        }
        guard answers.keeps(ticket, after: offset) else {
            throw APIError.invalid("the answer is not kept from there on any more", param: "from", code: "offset_lost")
        }
        return answers.response(ticket, from: offset)
    }

    func cancel(_ request: Request, context: ServerRequestContext) async throws -> Response {
        answers.cancel(try name(request, context))
        return Response(status: .noContent)
    }

    private struct Wanted: Decodable, Sendable {
        var conversationIds: [String]
    }

    func lookup(_ request: Request, context: ServerRequestContext) async throws -> Response {
        guard answers.isOpen else { throw Self.missing }
        let ids = try await reader.understand(request) { try Coding.decode(Wanted.self, from: $0).conversationIds }
        guard ids.count <= 256 else { throw APIError.invalid("256 names at most", param: "conversation_ids") }
        let known = answers.summaries(of: ids.filter { !$0.isEmpty }, owner: context.key)
        return try Response.json(
            .array(
                known.map {
                    [
                        "conversation_id": .string($0.id), "is_done": .bool($0.isOver), "total_bytes": .int($0.bytes),
                        "started_at": .int($0.started), "completed_at": .int($0.ended),
                    ]
                }))
    }
}

extension KeptAnswers {
    /// An answer as events, to its end.
    func response(_ ticket: Ticket, from first: Int) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8"],
            body: .init { output in
                var offset = first
                while true {
                    switch await self.next(ticket, after: offset) {
                    case .bytes(let bytes):
                        offset += bytes.readableBytes
                        try await output.write(bytes)
                    case .end: return try await output.finish(nil)
                    // The connection is closed without an end, which clients notice.
                    case .lost: throw APIError.cancelled
                    }
                }
            })
    }
}

/// Notes by which name and key a request comes.
struct StreamNameMiddleware: RouterMiddleware {
    private static let header = HTTPField.Name("X-Conversation-Id")!

    let hasKeys: Bool

    func handle(
        _ request: Request, context: ServerRequestContext,
        next: (Request, ServerRequestContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if hasKeys { context.key = AccessMiddleware.key(of: request) ?? "" }
        if let id = request.headers[Self.header], !id.isEmpty, request.method == .post {
            guard id.utf8.count <= KeptAnswers.Name.mostBytes else {
                throw APIError.invalid("X-Conversation-Id has \(KeptAnswers.Name.mostBytes) bytes at most")
            }
            context.streamName = KeptAnswers.Name(owner: context.key, id: id)
        }
        return try await next(request, context)
    }
}

/// Where an answer is written that is kept.
struct KeptAnswerWriter: ResponseBodyWriter {
    let answers: KeptAnswers
    let ticket: KeptAnswers.Ticket

    mutating func write(_ buffer: ByteBuffer) async throws { answers.append(buffer, to: ticket) }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
#endif
