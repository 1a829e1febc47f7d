#if Server
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes the one answer to a request, whole or as events with names.
struct EventWriter<Format: EventFormat>: ResponseWriter {
    let pieces: PieceReader
    let format: Format
    /// Takes the answer apart; nil if it is content as it is.
    let parser: ChatParser?

    func first() async throws -> ServingPiece? { try await pieces.first() }

    func whole() async throws -> ByteBuffer {
        var message = ChatMessage(role: "assistant", content: nil)
        var end: ServingPiece.End?
        try await pieces.forEach(after: nil) { _, piece in
            for delta in deltas(piece) { Self.add(delta, to: &message) }
            end = piece.end
        }
        // An answer without an end was cancelled, because the client is gone.
        guard let end else { throw CancellationError() }
        return try Coding.encode(format.whole(parser?.message ?? message, end))
    }

    /// What a piece adds.
    private func deltas(_ piece: ServingPiece) -> [ChatParser.Delta] {
        parser?.deltas(piece.text, end: piece.end?.reason) ?? ChatParser.plain(piece.text)
    }

    /// Without a parser there is only content.
    private static func add(_ delta: ChatParser.Delta, to message: inout ChatMessage) {
        if case .content(let text) = delta { message.content = (message.content ?? "") + text }
    }

    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws {
        guard let first else { return }
        var writer = output
        defer { output = writer }
        var format = format
        var message = ChatMessage(role: "assistant", content: nil)
        do {
            for event in format.begin(first) { try await writer.write(Self.text(event)) }
            try await pieces.forEach(after: first) { _, piece in
                var events = piece.progress.map { format.progress($0, piece.timings) } ?? []
                for delta in deltas(piece) {
                    Self.add(delta, to: &message)
                    events += format.part(delta, piece.timings)
                }
                if let end = piece.end { events += format.finish(parser?.message ?? message, end) }
                for event in events { try await writer.write(Self.text(event)) }
            }
        } catch let error as ServingError {
            let failure = format.failure(APIError(error as any Error) ?? .internalError)
            try await writer.write(Self.text(failure))
        }
    }

    private static func text(_ event: NamedEvent) throws -> ByteBuffer {
        try Coding.event(event.data, name: event.name)
    }
}
#endif
