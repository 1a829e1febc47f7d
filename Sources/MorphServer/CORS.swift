#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// The origins of web pages that may use the server from a browser.
public enum AllowedOrigins: Sendable, Hashable {
    /// Pages that this machine serves itself, on any port.
    case loopback
    /// All pages there are: whoever visits one lets it use the server.
    case all
    /// Just these, such as `https://chat.example`.
    case listed(Set<String>)

    /// As a flag has it: `*`, `localhost`, or origins with commas between them.
    public init(_ text: String) {
        switch text {
        case "*": self = .all
        case "localhost": self = .loopback
        default:
            self = .listed(Set(text.split(separator: ",").map { $0.filter { !$0.isWhitespace }.lowercased() }))
        }
    }

    /// Whether a page of an origin may use the server.
    func contains(_ origin: String) -> Bool {
        switch self {
        case .all: true
        case .listed(let origins): origins.contains(origin.lowercased())
        case .loopback: Self.isLoopback(origin)
        }
    }

    private static func isLoopback(_ origin: String) -> Bool {
        guard let separator = origin.firstRange(of: "://"), ["http", "https"].contains(origin[..<separator.lowerBound])
        else { return false }
        let authority = origin[separator.upperBound...]
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        let port = authority.dropFirst(host.count)
        guard port.isEmpty || port.first == ":" && port.dropFirst().allSatisfy(\.isNumber) else { return false }
        return LocalNames.contains(String(host))
    }
}

/// Lets pages of allowed origins use the server, and answers what browsers ask before they let them.
struct CORSMiddleware: RouterMiddleware {
    let origins: AllowedOrigins

    func handle(
        _ request: Request, context: ServerRequestContext,
        next: (Request, ServerRequestContext) async throws -> Response
    ) async throws -> Response {
        let origin = request.headers[.origin]
        let isPreflight = request.method == .options
        var response = isPreflight ? Response(status: .ok) : try await next(request, context)
        guard let origin, origins.contains(origin) else { return response }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlAllowCredentials] = "true"
        response.headers[.vary] = "Origin"
        if isPreflight {
            response.headers[.accessControlAllowMethods] = "GET, POST, DELETE, OPTIONS"
            response.headers[.accessControlAllowHeaders] = "*"
        }
        return response
    }
}
#endif
