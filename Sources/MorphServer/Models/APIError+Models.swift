#if Server
internal import HTTPTypes

/// What can be wrong with the models of a folder.
extension APIError {
    static let closing = APIError(
        status: .serviceUnavailable, message: "the server is shutting down", type: "server_error",
        code: "shutting_down", headers: [.retryAfter: "5"])

    static let warmingUp = APIError(
        status: .serviceUnavailable, message: "the server is warming up", type: "unavailable_error",
        headers: [.retryAfter: "5"])

    /// The models in the way have answers to finish.
    static let modelsBusy = APIError(
        status: .serviceUnavailable,
        message: "other models are answering, and there is no room beside them; try again later", type: "server_error",
        code: "models_busy", headers: [.retryAfter: "5"])

    static func modelsQueueFull(_ waiting: Int) -> APIError {
        APIError(
            status: .tooManyRequests,
            message: "\(waiting) requests are waiting for their models already; try again later",
            type: "rate_limit_error", code: "queue_full", headers: [.retryAfter: "5"])
    }

    static func modelTooLarge(_ name: String, _ bytes: Int, _ room: Int) -> APIError {
        .invalid(
            "the model '\(name)' takes up to \(bytes) bytes; all models together have \(room) here", param: "model",
            code: "model_too_large")
    }

    static func modelFailed(_ name: String, _ problem: String) -> APIError {
        .invalid("the model '\(name)' cannot be loaded: \(problem)", param: "model", code: "model_failed")
    }
}
#endif
