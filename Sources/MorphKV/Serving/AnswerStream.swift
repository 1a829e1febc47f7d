/// The pieces of one answer of a ``Scheduler``, as they become ready.
///
/// For one reader. The computation ends when the reader's task is cancelled, or when the last reference to the stream
/// and its iterator is gone.
public struct AnswerStream: AsyncSequence, Sendable {
    fileprivate let handle: AnswerHandle

    init(_ buffer: AnswerBuffer) { handle = AnswerHandle(buffer) }

    /// Ends the computation; the reader sees the end.
    public func cancel() { handle.buffer.cancel() }

    /// The one reader.
    public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

    /// Takes one piece after the other.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        fileprivate let handle: AnswerHandle

        /// The next piece; nil at the end or when the answer was cancelled.
        ///
        /// - Throws: ``ServingError``.
        public mutating func next() async throws -> ServingPiece? { try await handle.buffer.next() }
    }
}

/// Cancels the answer when its stream and iterator are gone.
private final class AnswerHandle: Sendable {
    let buffer: AnswerBuffer

    init(_ buffer: AnswerBuffer) { self.buffer = buffer }

    deinit { buffer.cancel() }
}
