#if Server
internal import HTTPTypes
internal import Hummingbird

/// All routes of the server; paths that llama-server has twice have one row.
struct RouteTable {
    typealias Handler = @Sendable (Request, ServerRequestContext) async throws -> Response

    private struct Row {
        let method: HTTPRequest.Method
        let paths: [String]
        let handler: Handler
    }

    private var rows: [Row] = []

    /// What others have and this server does not, by what its paths are for.
    static let notBuilt = [
        "embeddings": ["/embedding", "/embeddings", "/v1/embeddings"],
        "reranking": ["/rerank", "/reranking", "/v1/rerank", "/v1/reranking"],
        "infill": ["/infill"],
        "LoRA adapters": ["/lora-adapters"],
        "images": ["/v1/images/generations", "/v1/images/edits", "/v1/images/variations"],
        "audio": ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech"],
    ]

    mutating func add(_ method: HTTPRequest.Method, _ paths: [String], _ handler: @escaping Handler) {
        rows.append(Row(method: method, paths: paths, handler: handler))
    }

    mutating func get(_ paths: String..., handler: @escaping Handler) { add(.get, paths, handler) }

    mutating func post(_ paths: String..., handler: @escaping Handler) { add(.post, paths, handler) }

    mutating func delete(_ paths: String..., handler: @escaping Handler) { add(.delete, paths, handler) }

    /// The methods of every path.
    private var methods: [String: [HTTPRequest.Method]] {
        rows.reduce(into: [:]) { methods, row in
            for path in row.paths { methods[path, default: []] += row.method == .get ? [.get, .head] : [row.method] }
        }
    }

    /// A router with these routes.
    ///
    /// - Parameter open: paths that need no key.
    func router(_ configuration: ServerConfiguration, open: Set<String>) -> Router<ServerRequestContext> {
        let router = Router(context: ServerRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: CORSMiddleware(origins: configuration.origins))
        router.add(middleware: ErrorMiddleware(methods: methods))
        router.add(middleware: AccessMiddleware(configuration: configuration, open: open))
        router.add(middleware: StreamNameMiddleware(hasKeys: !configuration.keys.isEmpty))
        for row in rows {
            for path in row.paths { router.on(RouterPath(path), method: row.method, use: row.handler) }
        }
        for (what, paths) in Self.notBuilt {
            for path in paths {
                router.post(RouterPath(path)) { _, _ -> Response in throw APIError.notBuilt(what) }
                router.get(RouterPath(path)) { _, _ -> Response in throw APIError.notBuilt(what) }
            }
        }
        return router
    }
}
#endif
