#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Reads the bodies of requests, within what they may take of the memory.
struct RequestReader: Sendable {
    let configuration: ServerConfiguration
    /// Of the model that the requests are for, once that is known.
    private var scheduler: Scheduler?
    let bodies: BodyBudget
    /// Room for bodies that were read before their model is there.
    let waitingBodies: BodyBudget
    let worker = Worker("morphkv.requests")

    init(_ configuration: ServerConfiguration) {
        self.configuration = configuration
        bodies = BodyBudget(capacity: 2 * configuration.maxBodyBytes)
        waitingBodies = BodyBudget(capacity: 2 * configuration.maxBodyBytes)
    }

    /// Reads a body and turns it into something, while it counts as memory that bodies take.
    func understand<Job: Sendable>(
        _ request: Request, _ decode: @escaping @Sendable (ByteBuffer) throws -> Job
    ) async throws -> Job {
        let limit = try limit(of: request)
        return try await bodies.run(limit) {
            let body = try await body(of: request, limit)
            guard let scheduler else { return try await worker.run { try decode(body) } }
            return try await scheduler.loadingContexts { try await worker.run { try decode(body) } }
        }
    }

    /// The same reader, of the same memory, for one model's requests, which may name its contexts.
    func reading(for scheduler: Scheduler) -> RequestReader {
        var reader = self
        reader.scheduler = scheduler
        return reader
    }

    /// The most bytes that a body can have, from what its head says.
    func limit(of request: Request) throws -> Int {
        let type = request.headers[.contentType]?.split(separator: ";").first?.lowercased()
        // Browsers do not let pages of other origins send this type without a preflight request.
        guard type?.filter({ $0 != " " }) == "application/json" else {
            throw APIError(
                status: .unsupportedMediaType, message: "the body must be of type application/json",
                type: "invalid_request_error", code: "unsupported_media_type")
        }
        let length = request.headers[.contentLength].flatMap(Int.init) ?? configuration.maxBodyBytes
        guard length <= configuration.maxBodyBytes else { throw APIError.tooLarge }
        return length
    }

    func body(of request: Request, _ limit: Int) async throws -> ByteBuffer {
        var body = ByteBuffer()
        for try await part in request.body {
            guard body.readableBytes + part.readableBytes <= limit else { throw APIError.tooLarge }
            body.writeImmutableBuffer(part)
        }
        return body
    }
}
#endif
