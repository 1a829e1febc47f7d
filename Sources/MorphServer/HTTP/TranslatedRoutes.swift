#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// `/v1/responses`, OpenAI's, and `/v1/messages`, Anthropic's: chats in other words.
extension CompletionRoutes {
    func messages(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await reader.understand(request) { body in
            try chatJob(Self.encoded(try Self.messagesBody(body).chatBody()))
        }
        let format = MessagesFormat(id: Coding.newID(), model: configuration.modelName)
        return try await answer(job, format, context)
    }

    func responses(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await reader.understand(request) { body in
            try chatJob(Self.encoded(try Self.responsesBody(body).chatBody()))
        }
        let format = ResponsesFormat(
            id: Coding.newID(), model: configuration.modelName, created: Int(Date().timeIntervalSince1970),
            hasTimings: job.fields.timingsPerToken == true)
        return try await answer(job, format, context)
    }

    /// Tokens of the prompt of `/v1/messages`.
    func countTokens(_ request: Request) async throws -> Response {
        let count = try await reader.understand(request) { body in
            try chatTokens(Self.encoded(try Self.messagesBody(body).chatBody(counts: true))).count
        }
        return try Response.json(["input_tokens": count])
    }

    /// Tokens of the prompt of `/v1/responses`.
    func countInput(_ request: Request) async throws -> Response {
        let count = try await reader.understand(request) { body in
            try chatTokens(Self.encoded(try Self.responsesBody(body).chatBody())).count
        }
        return try Response.json(["object": "response.input_tokens", "input_tokens": .int(count)])
    }

    private static func responsesBody(_ body: ByteBuffer) throws -> ResponsesRequest {
        ResponsesRequest(body: try Coding.decode(JSONValue.self, from: body), raw: RawJSON(body.readableBytesView))
    }

    private static func messagesBody(_ body: ByteBuffer) throws -> MessagesRequest {
        MessagesRequest(body: try Coding.decode(JSONValue.self, from: body), raw: RawJSON(body.readableBytesView))
    }

    private static func encoded(_ body: JSONValue) throws -> ByteBuffer { ByteBuffer(string: try body.text) }

    private func answer(
        _ job: ChatJob, _ format: some EventFormat, _ context: ServerRequestContext
    ) async throws -> Response {
        try await responder.respond(to: job.requests, isStreamed: job.fields.stream == true, context) { answers in
            EventWriter(
                pieces: PieceReader(answers, onEnd: lengthNotice.check), format: format, parser: job.parsers.first)
        }
    }
}
#endif
