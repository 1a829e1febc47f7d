/// The pieces of one answer of a ``Scheduler``, as they become ready.
///
/// For one reader. The computation ends when the reader's task is cancelled, or when the last reference to the answer
/// and its iterator is gone.
public struct Answer: AsyncSequence, Sendable {
    fileprivate let handle: AnswerHandle

    init(_ outbox: Outbox) { handle = AnswerHandle(outbox) }

    /// Ends the computation; whoever reads sees the end.
    public func cancel() { handle.outbox.abandon() }

    /// The one reader.
    public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

    /// Takes one piece after the other.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        fileprivate let handle: AnswerHandle

        /// The next piece; nil at the end or when the answer was cancelled.
        ///
        /// - Throws: ``ServingError``.
        public mutating func next() async throws -> ServingPiece? { try await handle.outbox.next() }
    }
}

/// Abandons an answer that nobody can read any more.
private final class AnswerHandle: Sendable {
    let outbox: Outbox

    init(_ outbox: Outbox) { self.outbox = outbox }

    deinit { outbox.abandon() }
}
