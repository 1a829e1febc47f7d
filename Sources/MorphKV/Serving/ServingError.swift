internal import Ggml

/// Why a request is not answered, or not to its end.
public struct ServingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// An option of the request is out of range.
        case invalidRequest
        /// The prompt has more tokens than the scheduler takes.
        case promptTooLong
        /// There is no context of that name.
        case unknownContext
        /// The context is being made, or could not be made.
        case contextNotReady
        /// The context is on disk only; ``Scheduler/loadingContexts(_:)`` brings it.
        case contextNotLoaded
        /// There is no room for the context, because others are in use.
        case contextsInUse
        /// There is a context of that name, or as many as there can be.
        case contextExists
        /// The wanted policy needs more memory than one sequence may have.
        case doesNotFit
        /// As many requests wait as may.
        case queueFull
        /// The scheduler takes no more requests, or was stopped before the answer's end.
        case shuttingDown
        /// The answer took longer than a request may.
        case outOfTime
        /// Nobody took the pieces of the answer for too long.
        case notRead
        /// A machine that a part of the model is on went away.
        case workerLost
        /// The device or the model failed.
        case failed
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// One sentence for a person.
    public let description: String
    /// When it makes sense to try again, for problems that pass.
    public let retryAfter: Duration?
    /// Tokens of a prompt that is too long.
    public let promptTokens: Int?
    /// Tokens that would have been possible.
    public let tokenLimit: Int?
    /// The context that is on disk only.
    let context: String?

    init(
        _ kind: Kind, _ description: String, retryAfter: Duration? = nil, tokens: (prompt: Int, limit: Int)? = nil,
        context: String? = nil
    ) {
        (promptTokens, tokenLimit) = (tokens?.prompt, tokens?.limit)
        self.context = context
        self.kind = kind
        self.description = description
        self.retryAfter = retryAfter
    }
}

extension ServingError {
    /// An error of the engine as one of the request's.
    init(_ error: any Error) {
        switch error {
        case let error as ServingError: self = error
        case let error as GenerationError where [.invalidOption, .grammar].contains(error.kind):
            self.init(.invalidRequest, error.description)
        case let error as CacheError: self.init(.invalidRequest, error.description)
        case let error as GgmlError where error.kind == .lost:
            self.init(.workerLost, error.description, retryAfter: .seconds(10))
        default: self.init(.failed, "\(error)")
        }
    }
}
