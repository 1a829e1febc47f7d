#if Server
internal import HTTPTypes
internal import MorphKV
internal import Synchronization

/// Room for the grammars of all requests, waiting and running, and for what takes their answers apart: small schemas can mean large
/// grammars.
final class GrammarBudget: Sendable {
    /// A request's part of the room, which it gives back when it is gone.
    final class Share: Sendable {
        private let budget: GrammarBudget
        private let bytes: Int

        fileprivate init(_ budget: GrammarBudget, _ bytes: Int) {
            self.budget = budget
            self.bytes = bytes
        }

        deinit { budget.taken.withLock { $0 -= bytes } }
    }

    private let capacity: Int
    private let taken = Mutex(0)

    /// - Parameter capacity: bytes of all requests together.
    init(capacity: Int) { self.capacity = capacity }

    /// Takes room.
    ///
    /// - Throws: ``APIError``: status 429 if there is none at present, 400 if there can never be that much.
    func take(_ bytes: Int) throws -> Share {
        guard bytes <= capacity else {
            throw APIError.invalid(
                "the grammars of the answers, from tools or a schema, take \(bytes) bytes: \(capacity) are possible here",
                code: "grammar_too_large")
        }
        let isTaken = taken.withLock { taken in
            guard taken + bytes <= capacity else { return false }
            taken += bytes
            return true
        }
        guard isTaken else {
            throw APIError(
                status: .tooManyRequests, message: "other requests' grammars take all the room for them at present",
                type: "rate_limit_error", code: "grammars_full", headers: [.retryAfter: "1"])
        }
        return Share(self, bytes)
    }

    /// Takes room for the answers to a request, as long as they are computed.
    ///
    /// - Throws: ``APIError``, as ``take(_:)``.
    func reserve(for requests: inout [ServingRequest], _ parsers: [ChatParser], _ tokenizer: Tokenizer) throws {
        let grammar = try requests.first?.options.grammar?.bytes(with: tokenizer) ?? 0
        let bytes = grammar * requests.count + parsers.reduce(0) { $0 + $1.bytes }
        guard bytes > 0 else { return }
        let share = try take(bytes)
        for index in requests.indices { requests[index].share = share }
    }
}
#endif
