internal import Synchronization

/// What an ``AnswerStream`` reads from: the pieces that were computed and not taken yet.
final class AnswerBuffer: Sendable {
    /// The answer is computed no further while so many pieces wait for the reader.
    static let limit = 256

    private struct State {
        var pieces: [ServingPiece] = []
        var isClosed = false
        var error: ServingError?
        var isCancelled = false
        var waiter: CheckedContinuation<ServingPiece?, any Error>?
    }

    private let state = Mutex(State())
    /// Wakes the computing thread, which may have nothing else to do.
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    // MARK: The computing thread

    /// Whether the reader is so far behind that the computation pauses.
    var isFull: Bool { state.withLock { $0.pieces.count >= Self.limit } }

    /// Whether the reader wants no more.
    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Adds a piece, or hands it to the reader who waits for it.
    func add(_ piece: ServingPiece) {
        let waiter = state.withLock { state -> CheckedContinuation<ServingPiece?, any Error>? in
            guard !state.isClosed else { return nil }
            state.isClosed = piece.end != nil
            guard let waiter = state.waiter else {
                state.pieces.append(piece)
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume(returning: piece)
    }

    /// Ends the answer with an error, which the reader gets after the pieces that are here already.
    func fail(_ error: ServingError) {
        let waiter = state.withLock { state -> CheckedContinuation<ServingPiece?, any Error>? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            defer { state.waiter = nil }
            if state.waiter == nil { state.error = error }
            return state.waiter
        }
        waiter?.resume(throwing: error)
    }

    // MARK: The reader

    /// The next piece; nil at the end, or when the answer was cancelled.
    func next() async throws -> ServingPiece? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (result, wasFull) = state.withLock { state -> (Result<ServingPiece?, any Error>?, Bool) in
                    if state.isCancelled { return (.success(nil), false) }
                    if !state.pieces.isEmpty {
                        let wasFull = state.pieces.count >= Self.limit
                        return (.success(state.pieces.removeFirst()), wasFull)
                    }
                    if let error = state.error {
                        state.error = nil
                        return (.failure(error), false)
                    }
                    if state.isClosed { return (.success(nil), false) }
                    state.waiter = continuation
                    return (nil, false)
                }
                if let result { continuation.resume(with: result) }
                if wasFull { wake() }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Drops the pieces that are here and takes no more.
    func cancel() {
        let (waiter, isNew) = state.withLock { state in
            defer {
                state.isCancelled = true
                state.waiter = nil
                state.pieces = []
            }
            return (state.waiter, !state.isCancelled && !state.isClosed)
        }
        waiter?.resume(returning: nil)
        if isNew { wake() }
    }
}
