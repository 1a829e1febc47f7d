#if Server
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes the answers to a request of llama-server's own interface.
struct NativeWriter: ResponseWriter {
    private let pieces: PieceReader
    private let format: NativeAnswers
    /// For each answer whether more tokens than it may have would have fitted.
    private let hasRoom: [Bool]
    /// Whether a whole body is a list.
    private let isList: Bool

    /// - Parameter onEnd: is told of every answer's end.
    init(
        _ answers: [AnswerStream], _ format: NativeAnswers, hasRoom: [Bool], isList: Bool,
        onEnd: @escaping @Sendable (ServingPiece.End) -> Void
    ) {
        pieces = PieceReader(answers, onEnd: onEnd)
        self.format = format
        self.hasRoom = hasRoom
        self.isList = isList
    }

    func first() async throws -> ServingPiece? { try await pieces.first() }

    func whole() async throws -> ByteBuffer {
        var states = Array(repeating: NativeAnswers.State(), count: pieces.count)
        var ends: [ServingPiece.End?] = Array(repeating: nil, count: pieces.count)
        try await pieces.forEach(after: nil) { index, piece in
            states[index].text += piece.text
            if format.request.returnTokens == true { states[index].ids += piece.ids }
            states[index].scored += piece.tokens
            ends[index] = piece.end
        }
        let written = try states.indices.map { index in
            // An answer without an end was cancelled, because the client is gone.
            guard let end = ends[index] else { throw CancellationError() }
            return finish(index, states[index], end, states[index].text.contains("\n"))
        }
        return try Coding.encode(isList ? JSONValue.array(written) : written[0])
    }

    private func finish(
        _ index: Int, _ state: NativeAnswers.State, _ end: ServingPiece.End, _ hasNewLine: Bool
    ) -> JSONValue {
        format.whole(index, state, end, hasNewLine: hasNewLine, roomLeft: end.reason != .length || hasRoom[index])
    }

    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws {
        var writer = output
        defer { output = writer }
        guard let first else { return }
        var newLines = Set<Int>()
        do {
            try await pieces.forEach(after: first) { index, piece in
                if piece.text.contains("\n") { newLines.insert(index) }
                if let part = format.part(index, piece) { try await writer.write(Coding.event(part)) }
                guard let end = piece.end else { return }
                let last = finish(index, NativeAnswers.State(), end, newLines.contains(index))
                try await writer.write(Coding.event(last))
            }
        } catch let error as ServingError {
            try await writer.write(Coding.event((APIError(error as any Error) ?? .internalError).body))
        }
    }
}
#endif
