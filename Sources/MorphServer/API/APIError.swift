#if Server
internal import HTTPTypes
internal import MorphKV

/// An error as OpenAI's interface states it.
struct APIError: Error, Sendable {
    /// What is sent.
    struct Body: Encodable, Sendable {
        struct Detail: Encodable, Sendable {
            let message: String
            let type: String
            let param: String?
            let code: String?
            let promptTokens: Int?
            let tokenLimit: Int?

            /// The first four keys are always there, as clients expect.
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(message, forKey: .message)
                try container.encode(type, forKey: .type)
                try container.encode(param, forKey: .param)
                try container.encode(code, forKey: .code)
                try container.encodeIfPresent(promptTokens, forKey: .nPromptTokens)
                try container.encodeIfPresent(tokenLimit, forKey: .nCtx)
            }

            private enum CodingKeys: CodingKey { case message, type, param, code, nPromptTokens, nCtx }
        }

        /// What it is, where an interface says so.
        let type: String?
        let error: Detail
    }

    let status: HTTPResponse.Status
    let message: String
    let type: String
    var param: String?
    var code: String?
    var headers: HTTPFields = [:]
    /// What the whole body is said to be; nil where the interface does not say.
    var kind: String?
    /// Of a prompt that is too long: its tokens, and those that are possible.
    var promptTokens: Int?
    /// See ``promptTokens``.
    var tokenLimit: Int?

    var body: Body {
        Body(
            type: kind,
            error: .init(
                message: message, type: type, param: param, code: code, promptTokens: promptTokens,
                tokenLimit: tokenLimit))
    }

    /// The request makes no sense.
    static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(status: .badRequest, message: message, type: "invalid_request_error", param: param, code: code)
    }

    static func notFound(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(status: .notFound, message: message, type: "invalid_request_error", param: param, code: code)
    }

    /// What other servers have and this one does not.
    static func notBuilt(_ what: String) -> APIError {
        APIError(
            status: .notImplemented, message: "this server has no \(what)", type: "not_supported_error",
            code: "unsupported")
    }

    /// What needs llama.cpp's library `common`, where that is not there.
    static func noTemplates(param: String) -> APIError {
        APIError(
            status: .notImplemented,
            message: "this server's copy of llama.cpp cannot interpret chat templates, so it has no tools",
            type: "not_supported_error", param: param, code: "unsupported")
    }

    static let tooLarge = APIError(
        status: .contentTooLarge, message: "the body is larger than this server takes",
        type: "invalid_request_error", code: "body_too_large", headers: [.connection: "close"])

    /// Nothing about the inside gets out.
    static let internalError = APIError(
        status: .internalServerError, message: "the server failed", type: "server_error", code: "internal_error")

    init(
        status: HTTPResponse.Status, message: String, type: String, param: String? = nil, code: String? = nil,
        headers: HTTPFields = [:]
    ) {
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers
    }

    /// What the library says, in terms of the interface; nil if it is nothing for the client's eyes.
    init?(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as ServingError: self.init(error)
        case let error as SavedCacheError: self = .invalid(error.description, param: "filename")
        case let error as CacheError: self = .invalid(error.description, param: "morphkv")
        case let error as GenerationError where error.kind == .invalidOption: self = .invalid(error.description)
        case let error as ModelError where error.kind == .chatTemplate:
            self = .invalid(error.description, param: "messages")
        default: return nil
        }
    }

    private static func retry(_ after: Duration?) -> HTTPFields {
        after.map { [.retryAfter: "\(max(1, $0.components.seconds))"] } ?? [:]
    }

    private init?(_ error: ServingError) {
        switch error.kind {
        case .invalidRequest: self = .invalid(error.description)
        case .promptTooLong:
            self.init(
                status: .badRequest, message: error.description, type: "exceed_context_size_error",
                code: "context_length_exceeded")
            (promptTokens, tokenLimit) = (error.promptTokens, error.tokenLimit)
        case .unknownContext:
            self = .notFound(error.description, param: "morphkv.context", code: "context_not_found")
        case .contextExists:
            self.init(
                status: .conflict, message: error.description, type: "invalid_request_error", param: "name",
                code: "context_exists")
        case .contextNotReady:
            self.init(
                status: .conflict, message: error.description, type: "invalid_request_error",
                param: "morphkv.context", code: "context_not_ready", headers: Self.retry(error.retryAfter))
        case .contextsInUse, .contextNotLoaded:
            self.init(
                status: .serviceUnavailable, message: error.description, type: "server_error",
                param: "morphkv.context", code: "contexts_in_use", headers: Self.retry(error.retryAfter ?? .seconds(2)))
        case .doesNotFit: self = .invalid(error.description, param: "morphkv", code: "cache_too_large")
        case .queueFull:
            let seconds = error.retryAfter.map { $0.components.seconds } ?? 1
            self.init(
                status: .tooManyRequests, message: error.description, type: "rate_limit_error", code: "queue_full",
                headers: [.retryAfter: "\(max(1, seconds))"])
        case .shuttingDown:
            self.init(
                status: .serviceUnavailable, message: error.description, type: "server_error", code: "shutting_down",
                headers: [.retryAfter: "5"])
        case .outOfTime:
            self.init(
                status: .gatewayTimeout, message: error.description, type: "server_error", code: "out_of_time")
        case .notRead: self.init(status: .requestTimeout, message: error.description, type: "server_error")
        case .workerLost:
            self.init(
                status: .serviceUnavailable, message: error.description, type: "server_error", code: "worker_lost",
                headers: Self.retry(error.retryAfter))
        case .failed: return nil
        }
    }
}
#endif
