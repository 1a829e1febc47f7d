#if Server
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes the one answer to a request, whole or as events with names.
struct EventWriter<Format: EventFormat>: ResponseWriter {
    let pieces: PieceReader
    let format: Format

    func first() async throws -> ServingPiece? { try await pieces.first() }

    func whole() async throws -> ByteBuffer {
        var format = format
        var text = ""
        var end: ServingPiece.End?
        try await pieces.forEach(after: nil) { _, piece in
            text += piece.text
            end = piece.end
        }
        // An answer without an end was cancelled, because the client is gone.
        guard let end else { throw CancellationError() }
        return try Coding.encode(format.whole(text, end))
    }

    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws {
        guard let first else { return }
        var writer = output
        defer { output = writer }
        var format = format
        do {
            for event in format.begin(first) { try await writer.write(Self.text(event)) }
            try await pieces.forEach(after: first) { _, whole in
                for piece in whole.parts {
                    let events = piece.end.map { format.finish($0) } ?? format.part(piece)
                    for event in events { try await writer.write(Self.text(event)) }
                }
            }
        } catch let error as ServingError {
            let failure = format.failure(APIError(error as any Error) ?? .internalError)
            try await writer.write(Self.text(failure))
        }
    }

    private static func text(_ event: NamedEvent) throws -> ByteBuffer {
        var buffer = ByteBuffer(string: "event: \(event.name)\ndata: ")
        buffer.writeImmutableBuffer(try Coding.encode(event.data))
        buffer.writeStaticString("\n\n")
        return buffer
    }
}
#endif
