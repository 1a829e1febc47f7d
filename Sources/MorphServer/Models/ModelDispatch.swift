#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore
internal import Synchronization

/// Hands requests to the models that they name.
struct ModelDispatch: Sendable {
    let pool: ModelPool
    private var kept: KeptAnswers { pool.loader.parts.kept }

    /// The response of the model that a request names: in its address (`?model=`), else in its body.
    ///
    /// The model stays in memory until the response was sent.
    func respond(
        _ request: Request, _ context: ServerRequestContext, _ answer: ServedModels.Handler
    ) async throws -> Response {
        var (request, context) = (request, context)
        let name = try await name(in: &request)
        let asking = Task { try await pool.lease(name) }
        if let stream = context.streamName, kept.isOpen {
            let wait = kept.wait(stream) { asking.cancel() }
            context.wait = wait
            do {
                context.lease = try await asking.value
            } catch {
                throw kept.endWait(wait) ? APIError.cancelled as any Error : error
            }
        } else {
            // A client that is gone waits no more.
            let watch = pool.loader.parts.connections.watch(context.channel) { asking.cancel() }
            defer { pool.loader.parts.connections.end(watch) }
            context.lease = try await asking.value
        }
        // If no answer begins.
        defer { if let wait = context.wait { _ = kept.endWait(wait) } }
        guard let lease = context.lease else { throw CancellationError() }
        var response = try await answer(lease.model, request, context)
        let body = response.body
        response.body = .init(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            withExtendedLifetime(lease) {}
        }
        return response
    }

    /// The model that a request names; nil if it names none. A body that was read for this is kept for whoever reads it next.
    private func name(in request: inout Request) async throws -> String? {
        if let name = request.uri.queryParameters["model"] { return String(name) }
        guard request.method == .post, request.headers[.contentType] != nil else { return nil }
        let reader = pool.loader.parts.reader
        let limit = try reader.limit(of: request)
        let share = try await reader.waitingBodies.share(limit)
        let body = try await reader.body(of: request, limit)
        request.body = .init(asyncSequence: KeptBody(body, share))
        return try await reader.worker.run { try Coding.decode(NamedModel.self, from: body).model }
    }

    private struct NamedModel: Decodable, Sendable {
        var model: String?
    }
}

/// A body that was read, for one reader; its share of the memory goes back when that takes it.
private final class KeptBody: AsyncSequence, Sendable {
    private let content: Mutex<(ByteBuffer, BodyBudget.Share?)?>

    init(_ body: ByteBuffer, _ share: BodyBudget.Share?) { content = Mutex((body, share)) }

    struct Iterator: AsyncIteratorProtocol, Sendable {
        let body: KeptBody

        func next() async throws -> ByteBuffer? { body.take() }
    }

    func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    private func take() -> ByteBuffer? {
        content.withLock { content in
            defer { content = nil }
            return content?.0
        }
    }
}
#endif
