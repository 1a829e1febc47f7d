#if Server
internal import Foundation
internal import HTTPTypes
internal import NIOCore
internal import Synchronization

/// Streamed answers to which their clients gave a name, kept so that they can be read again: from the beginning or from where a
/// connection broke, while they are written and after that.
///
/// All of them have a fixed number of bytes together. Where these are full, the oldest go that are over, then the beginnings of
/// the longest that are being written.
final class KeptAnswers: Sendable {
    /// A name, as it comes in `X-Conversation-Id`; that of a client with one key is not that of one with another.
    struct Name: Hashable, Sendable {
        /// Bytes that a name has at most.
        static let mostBytes = 256

        let owner: String
        let id: String
    }

    /// An answer, as whoever writes it knows it.
    struct Ticket: Sendable {
        fileprivate let name: Name
        fileprivate let number: Int
    }

    /// What is known of an answer.
    struct Summary: Sendable {
        let id: String
        let isOver: Bool
        /// All bytes that it had, those that are gone too.
        let bytes: Int
        /// Seconds since 1970.
        let started: Int
        /// The same; 0 while it is written.
        let ended: Int
    }

    /// What a reader gets next.
    enum Part: Sendable {
        case bytes(ByteBuffer)
        /// There is nothing more.
        case end
        /// What the reader asks for is not kept any more.
        case lost
    }

    /// Bytes in which memory is taken.
    static let blockBytes = 16 << 10
    /// Bytes that an answer takes besides: its name, and who waits for it.
    private static let perAnswer = 2 << 10

    private struct State {
        var entries: [Name: KeptAnswer] = [:]
        var waiting: [Name: Waiting] = [:]
        var last = 0

        var taken: Int {
            entries.values.reduce(0) { $0 + KeptAnswers.perAnswer + $1.blocks.count * KeptAnswers.blockBytes }
        }

        /// See ``KeptAnswers/endWait(_:)``.
        mutating func endWait(_ ticket: Ticket) -> Bool {
            guard let wait = waiting[ticket.name], wait.number == ticket.number else { return false }
            waiting[ticket.name] = nil
            return wait.isCancelled
        }
    }

    /// A request whose model is not there yet.
    private struct Waiting {
        let number: Int
        let cancel: @Sendable () -> Void
        var isCancelled = false
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: bytes of all answers; 0 keeps none.
    init(capacity: Int) { self.capacity = capacity }

    /// Whether answers are kept.
    var isOpen: Bool { capacity > 0 }

    static var now: Int { Int(Date().timeIntervalSince1970) }

    // MARK: Writing

    /// An answer that begins, in place of the one that had its name, which is cancelled.
    ///
    /// - Parameters:
    ///   - wait: the wait for its model, which ends here.
    ///   - cancel: ends the answer.
    /// - Throws: ``APIError``: that it was cancelled while it waited; status 429 if those that are being written take all the
    ///   room.
    func begin(_ name: Name, after wait: Ticket?, cancel: @escaping @Sendable () -> Void) throws -> Ticket {
        let (ticket, before): (Ticket?, KeptAnswer?) = try state.withLock { state in
            if let wait, state.endWait(wait) { throw APIError.cancelled }
            let before = state.entries.removeValue(forKey: name)
            guard makeRoom(Self.perAnswer, &state, for: nil) else { return (nil, before) }
            state.last += 1
            state.entries[name] = KeptAnswer(number: state.last, cancel: cancel)
            return (Ticket(name: name, number: state.last), before)
        }
        before.map(Self.end)
        guard let ticket else {
            throw APIError(
                status: .tooManyRequests, message: "answers that are kept take all the room for them at present",
                type: "rate_limit_error", code: "streams_full", headers: [.retryAfter: "1"])
        }
        return ticket
    }

    /// Adds to an answer, if it is still there.
    func append(_ bytes: ByteBuffer, to ticket: Ticket) {
        let readers: [CheckedContinuation<Void, Never>] = state.withLock { state in
            var rest = bytes.readableBytesView
            guard state.entries[ticket.name]?.number == ticket.number else { return [] }
            while !rest.isEmpty {
                if state.entries[ticket.name]!.isFull {
                    _ = makeRoom(Self.blockBytes, &state, for: ticket.name)
                    var block: [UInt8] = []
                    block.reserveCapacity(Self.blockBytes)
                    state.entries[ticket.name]!.blocks.append(block)
                }
                rest = rest.dropFirst(state.entries[ticket.name]!.fill(with: rest))
            }
            return state.entries[ticket.name]!.takeReaders()
        }
        for reader in readers { reader.resume() }
    }

    /// Says that an answer is over.
    func finish(_ ticket: Ticket) {
        let readers: [CheckedContinuation<Void, Never>] = state.withLock { state in
            guard state.entries[ticket.name]?.number == ticket.number else { return [] }
            state.entries[ticket.name]!.ended = Self.now
            return state.entries[ticket.name]!.takeReaders()
        }
        for reader in readers { reader.resume() }
    }

    /// Takes away an answer that never began.
    func forget(_ ticket: Ticket) {
        let entry: KeptAnswer? = state.withLock { state in
            guard state.entries[ticket.name]?.number == ticket.number else { return nil }
            return state.entries.removeValue(forKey: ticket.name)
        }
        entry.map(Self.end)
    }

    private static func end(_ entry: KeptAnswer) {
        entry.cancel()
        for reader in entry.readers { reader.resume() }
    }

    /// Makes room for more bytes.
    ///
    /// - Parameter writer: the answer that needs it; nil for one that begins, for which nobody's beginning is dropped.
    /// - Returns: whether there is room now.
    private func makeRoom(_ bytes: Int, _ state: inout State, for writer: Name?) -> Bool {
        while state.taken + bytes > capacity {
            let over = state.entries.filter { $0.value.isOver && $0.key != writer }
            if let oldest = over.min(by: { $0.value.number < $1.value.number }) {
                for reader in state.entries.removeValue(forKey: oldest.key)!.readers { reader.resume() }
                continue
            }
            let longest = state.entries.filter { !$0.value.blocks.isEmpty }.max {
                $0.value.blocks.count < $1.value.blocks.count
            }
            guard writer != nil, let name = longest?.key else { return false }
            let block = state.entries[name]!.blocks.removeFirst()
            state.entries[name]!.dropped += block.count
        }
        return true
    }

    // MARK: Waiting for a model

    /// Notes that a request waits for its model.
    ///
    /// - Parameter cancel: ends the wait.
    func wait(_ name: Name, cancel: @escaping @Sendable () -> Void) -> Ticket {
        state.withLock { state in
            state.last += 1
            state.waiting[name] = Waiting(number: state.last, cancel: cancel)
            return Ticket(name: name, number: state.last)
        }
    }

    /// Notes that it waits no more.
    ///
    /// - Returns: whether it was cancelled meanwhile.
    func endWait(_ ticket: Ticket) -> Bool {
        state.withLock { $0.endWait(ticket) }
    }

    /// Whether a request of that name waits for its model.
    func isWaiting(_ name: Name) -> Bool { state.withLock { $0.waiting[name] != nil } }

    // MARK: Reading

    /// The answer that has a name now.
    func find(_ name: Name) -> Ticket? {
        state.withLock { state in state.entries[name].map { Ticket(name: name, number: $0.number) } }
    }

    /// Whether the bytes after so many are kept, or to come.
    func keeps(_ ticket: Ticket, after offset: Int) -> Bool {
        state.withLock { state in
            guard let entry = state.entries[ticket.name], entry.number == ticket.number else { return false }
            return offset >= entry.dropped
        }
    }

    /// The next bytes of an answer; waits for them if they are to come.
    func next(_ ticket: Ticket, after offset: Int) async -> Part {
        while true {
            if let part = state.withLock({ Self.part($0, ticket, offset) }) { return part }
            await withCheckedContinuation { reader in
                let isThere = state.withLock { state in
                    if Self.part(state, ticket, offset) != nil { return true }
                    state.entries[ticket.name]!.readers.append(reader)
                    return false
                }
                if isThere { reader.resume() }
            }
        }
    }

    private static func part(_ state: State, _ ticket: Ticket, _ offset: Int) -> Part? {
        guard let entry = state.entries[ticket.name], entry.number == ticket.number else { return .lost }
        return entry.part(after: offset)
    }

    /// What there is by some names; those of several models have the model's name after two colons.
    func summaries(of ids: [String], owner: String) -> [Summary] {
        let all = state.withLock { $0.entries.filter { $0.key.owner == owner } }
            .sorted { $0.value.number < $1.value.number }
        return ids.flatMap { id in
            all.filter { $0.key.id == id || $0.key.id.hasPrefix(id + "::") }.map { name, entry in
                Summary(
                    id: name.id, isOver: entry.isOver, bytes: entry.bytes, started: entry.started, ended: entry.ended)
            }
        }
    }

    /// Ends an answer, or the wait for its model, and forgets it.
    func cancel(_ name: Name) {
        let (entry, wait) = state.withLock { state in
            state.waiting[name]?.isCancelled = true
            return (state.entries.removeValue(forKey: name), state.waiting[name]?.cancel)
        }
        entry.map(Self.end)
        wait?()
    }
}

extension APIError {
    static let cancelled = APIError.invalid("the request was cancelled", code: "cancelled")
}
#endif
