#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes what was computed for one request.
protocol ResponseWriter: Sendable {
    /// The first piece of the first answer; nil if it was cancelled.
    func first() async throws -> ServingPiece?
    /// Everything as one body.
    func whole() async throws -> ByteBuffer
    /// Everything as events.
    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws
}

/// Asks the scheduler, and ends the computation when the client is gone.
struct Responder: Sendable {
    let scheduler: Scheduler
    let connections: Connections
    let kept: KeptAnswers

    /// The response to a request that was understood.
    ///
    /// - Parameters:
    ///   - isStreamed: whether it is sent as events.
    ///   - writer: makes what writes the answers.
    /// - Throws: what the scheduler says, as long as nothing was sent.
    func respond<Writer: ResponseWriter>(
        to requests: [ServingRequest], isStreamed: Bool, _ context: ServerRequestContext,
        writer: ([AnswerStream]) -> Writer
    ) async throws -> Response {
        let answers = try await scheduler.loadingContexts { try scheduler.submit(requests) }
        if isStreamed, kept.isOpen, let name = context.streamName {
            return try await respond(as: name, answers, writer(answers), context)
        }
        let watch = connections.watch(context.channel) { for answer in answers { answer.cancel() } }
        let writer = writer(answers)
        guard isStreamed else {
            defer { connections.end(watch) }
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: try await writer.whole()))
        }
        do {
            // The status says whether the answer begins at all.
            let first = try await writer.first()
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8"],
                body: .init { output in
                    defer { connections.end(watch) }
                    try await writer.stream(from: first, to: &output)
                    try await output.finish(nil)
                })
        } catch {
            connections.end(watch)
            throw error
        }
    }

    /// The response to a request whose answer is kept: it is written whether somebody reads it or not.
    private func respond(
        as name: KeptAnswers.Name, _ answers: [AnswerStream], _ writer: some ResponseWriter,
        _ context: ServerRequestContext
    ) async throws -> Response {
        let cancel: @Sendable () -> Void = { for answer in answers { answer.cancel() } }
        let ticket: KeptAnswers.Ticket
        do {
            ticket = try kept.begin(name, after: context.wait, cancel: cancel)
        } catch {
            cancel()
            throw error
        }
        let first: ServingPiece?
        do {
            // The task of a request may end with its connection.
            first = try await Task { try await writer.first() }.value
        } catch {
            kept.forget(ticket)
            throw error
        }
        Task { [kept, lease = context.lease] in
            var output: any ResponseBodyWriter = KeptAnswerWriter(answers: kept, ticket: ticket)
            // What goes wrong is told in the answer; a cancelled one just ends.
            try? await writer.stream(from: first, to: &output)
            kept.finish(ticket)
            withExtendedLifetime(lease) {}
        }
        return kept.response(ticket, from: 0)
    }
}
#endif
