#if Server
internal import MorphKV

/// Reads the pieces of all answers to one request as they come.
struct PieceReader: Sendable {
    private let answers: [AnswerStream.Iterator]
    private let onEnd: @Sendable (ServingPiece.End) -> Void

    /// - Parameter onEnd: is told of every answer's end.
    init(_ answers: [AnswerStream], onEnd: @escaping @Sendable (ServingPiece.End) -> Void) {
        self.answers = answers.map { $0.makeAsyncIterator() }
        self.onEnd = onEnd
    }

    /// The number of answers.
    var count: Int { answers.count }

    /// The first piece of the first answer; nil if it was cancelled.
    func first() async throws -> ServingPiece? { try await next(0) }

    private func next(_ index: Int) async throws -> ServingPiece? {
        var iterator = answers[index]
        let piece = try await iterator.next()
        if let end = piece?.end { onEnd(end) }
        return piece
    }

    /// Goes through the pieces of all answers as they come, one at a time of each.
    ///
    /// - Parameter first: the first answer's first piece if it was read before; nil reads it.
    func forEach(
        after first: ServingPiece?, _ body: (Int, ServingPiece) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (Int, ServingPiece?).self) { group in
            for index in answers.indices where index > 0 || first == nil {
                group.addTask { (index, try await next(index)) }
            }
            if let first {
                if first.end == nil { group.addTask { (0, try await next(0)) } }
                try await body(0, first)
            }
            while let (index, piece) = try await group.next() {
                guard let piece else { continue }
                if piece.end == nil { group.addTask { (index, try await next(index)) } }
                try await body(index, piece)
            }
        }
    }
}

extension ServingPiece {
    /// The piece as parts of a stream: how an answer ended comes after its text, in a part of its own.
    var parts: [ServingPiece] {
        guard end != nil, !text.isEmpty || !tokens.isEmpty || !prompt.isEmpty else { return [self] }
        var (first, last) = (self, self)
        (first.end, first.view) = (nil, nil)
        (last.text, last.tokens, last.prompt, last.ids) = ("", [], [], [])
        return [first, last]
    }
}
#endif
