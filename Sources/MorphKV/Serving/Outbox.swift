internal import Synchronization

/// What is ready of one answer: the computing thread puts pieces in, whoever asked takes them out.
final class Outbox: Sendable {
    /// Pieces that may lie here before the computation of the answer pauses.
    static let limit = 256

    private struct State {
        var pieces: [ServingPiece] = []
        var isClosed = false
        var error: ServingError?
        var isAbandoned = false
        var waiter: CheckedContinuation<ServingPiece?, any Error>?
    }

    private let state = Mutex(State())
    /// Tells the computing thread that something changed that it may be waiting for.
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    // MARK: The computing thread

    /// Whether nobody takes the pieces at present.
    var isFull: Bool { state.withLock { $0.pieces.count >= Self.limit } }

    /// Whether nobody wants the answer any more.
    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    func put(_ piece: ServingPiece) {
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

    /// Ends the answer with an error, after what lies here already.
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

    /// The next piece; nil at the end, or when the answer was abandoned.
    func next() async throws -> ServingPiece? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (result, wasFull) = state.withLock { state -> (Result<ServingPiece?, any Error>?, Bool) in
                    if state.isAbandoned { return (.success(nil), false) }
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
            abandon()
        }
    }

    /// Says that nobody wants the rest.
    func abandon() {
        let (waiter, isNew) = state.withLock { state in
            defer {
                state.isAbandoned = true
                state.waiter = nil
                state.pieces = []
            }
            return (state.waiter, !state.isAbandoned && !state.isClosed)
        }
        waiter?.resume(returning: nil)
        if isNew { wake() }
    }
}
