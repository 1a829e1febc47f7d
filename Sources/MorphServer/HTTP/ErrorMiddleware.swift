#if Server
internal import HTTPTypes
internal import Hummingbird
internal import Logging

/// Turns whatever goes wrong into an error of the interface's format, and adds headers that every response has.
struct ErrorMiddleware: RouterMiddleware {
    /// The methods of every path there is.
    let methods: [String: [HTTPRequest.Method]]

    func handle(
        _ request: Request, context: ServerRequestContext,
        next: (Request, ServerRequestContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            var failure = apiError(error, request, context.logger)
            // Anthropic's clients look for what it is.
            if request.uri.path.hasPrefix("/v1/messages") { failure.kind = "error" }
            response = try Self.response(failure)
        }
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        return response
    }

    static func response(_ error: APIError) throws -> Response {
        var headers = error.headers
        headers[.contentType] = "application/json"
        return Response(
            status: error.status, headers: headers, body: .init(byteBuffer: try Coding.encode(error.body)))
    }

    private func apiError(_ error: any Error, _ request: Request, _ logger: Logger) -> APIError {
        if let error = APIError(error) { return error }
        // The client is gone, so nobody sees it.
        if error is CancellationError { return .internalError }
        guard let error = error as? any HTTPResponseError else {
            logger.error("a request failed: \(error)")
            return .internalError
        }
        let path = request.uri.path
        guard error.status == .notFound else {
            return APIError(status: error.status, message: error.status.reasonPhrase, type: "invalid_request_error")
        }
        guard let allowed = methods[path] else {
            return .notFound("there is nothing at \(path.prefix(200))", code: "unknown_url")
        }
        return APIError(
            status: .methodNotAllowed, message: "\(path) does not take \(request.method.rawValue)",
            type: "invalid_request_error", code: "method_not_allowed",
            headers: [.allow: allowed.map(\.rawValue).joined(separator: ", ")])
    }
}

/// Refuses requests without a valid key; on a server without keys, those to a host name that is not this machine's.
struct AccessMiddleware: RouterMiddleware {
    let configuration: ServerConfiguration
    /// Paths that need no key: the page's own files and the readiness of the server.
    let open: Set<String>

    func handle(
        _ request: Request, context: ServerRequestContext,
        next: (Request, ServerRequestContext) async throws -> Response
    ) async throws -> Response {
        if !configuration.keys.isEmpty, !open.contains(request.uri.path) { try checkKey(request) }
        if configuration.keys.isEmpty, configuration.isLocal { try checkHost(request) }
        return try await next(request, context)
    }

    /// The key that a request comes with.
    static func key(of request: Request) -> String? {
        let words = (request.headers[.authorization] ?? "").split(separator: " ", maxSplits: 1)
        let bearer = words.count == 2 && words[0].lowercased() == "bearer" ? String(words[1]) : nil
        // Anthropic's clients have a header of their own.
        return bearer ?? request.headers[.init("X-Api-Key")!]
    }

    private func checkKey(_ request: Request) throws {
        guard let given = Self.key(of: request), configuration.keys.contains(given) else {
            throw APIError(
                status: .unauthorized, message: "a valid API key is needed: Authorization: Bearer KEY",
                type: "authentication_error", code: "invalid_api_key", headers: [.wwwAuthenticate: "Bearer"])
        }
    }

    /// Against DNS rebinding: a web page elsewhere must not get in by a host name of its own that points here.
    private func checkHost(_ request: Request) throws {
        let authority = request.head.authority ?? ""
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        guard authority.isEmpty || LocalNames.contains(String(host)) else {
            throw APIError(
                status: .forbidden, message: "this server answers to the names of its own machine only",
                type: "invalid_request_error", code: "wrong_host")
        }
    }
}
#endif
