#if Server
internal import NIOCore

/// A streamed answer that is kept, in blocks.
struct KeptAnswer {
    let number: Int
    var blocks: [[UInt8]] = []
    /// Bytes before those of the blocks.
    var dropped = 0
    var bytes = 0
    let started = KeptAnswers.now
    var ended = 0
    let cancel: @Sendable () -> Void
    var readers: [CheckedContinuation<Void, Never>] = []
    var isOver: Bool { ended != 0 }
    /// Whether more bytes need another block.
    var isFull: Bool { (blocks.last?.count ?? KeptAnswers.blockBytes) == KeptAnswers.blockBytes }

    /// Adds what the last block has room for.
    ///
    /// - Returns: how many bytes that is.
    mutating func fill(with rest: ByteBufferView) -> Int {
        let last = blocks.count - 1
        let part = rest.prefix(KeptAnswers.blockBytes - blocks[last].count)
        blocks[last] += part
        bytes += part.count
        return part.count
    }

    /// What comes after so many bytes; nil if it has to be waited for.
    func part(after offset: Int) -> KeptAnswers.Part? {
        if offset < dropped { return .lost }
        guard offset < bytes else { return isOver ? .end : nil }
        let place = offset - dropped
        let block = blocks[place / KeptAnswers.blockBytes]
        return .bytes(ByteBuffer(bytes: block[(place % KeptAnswers.blockBytes)...]))
    }

    /// Those who wait for more, who are to be told.
    mutating func takeReaders() -> [CheckedContinuation<Void, Never>] {
        defer { readers = [] }
        return readers
    }
}
#endif
