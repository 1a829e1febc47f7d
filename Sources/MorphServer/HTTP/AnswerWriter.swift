#if Server
internal import Foundation
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes the answers to one request, whole or as server-sent events.
struct AnswerWriter<Format: AnswerFormat>: Sendable {
    private let answers: [AnswerStream.Iterator]
    private let format: Format
    private let model: String
    /// Answers per prompt.
    private let choices: Int
    private let includesUsage: Bool
    private let onEnd: @Sendable (ServingPiece.End) -> Void
    private let id: String
    private let created = Int(Date().timeIntervalSince1970)

    /// - Parameter onEnd: is told of every answer's end.
    init(
        answers: [AnswerStream], format: Format, model: String, choices: Int, includesUsage: Bool,
        onEnd: @escaping @Sendable (ServingPiece.End) -> Void
    ) {
        self.onEnd = onEnd
        self.answers = answers.map { $0.makeAsyncIterator() }
        self.format = format
        self.model = model
        self.choices = choices
        self.includesUsage = includesUsage
        id = "\(format.prefix)-" + UUID().uuidString.filter { $0 != "-" }.lowercased()
    }

    /// The first piece of the first answer; nil if it was cancelled.
    func first() async throws -> ServingPiece? { try await next(0) }

    private func next(_ index: Int) async throws -> ServingPiece? {
        var iterator = answers[index]
        let piece = try await iterator.next()
        if let end = piece?.end { onEnd(end) }
        return piece
    }

    /// Goes through the pieces of all answers as they come, one at a time of each.
    private func forEach(
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

    // MARK: Whole

    func whole() async throws -> ByteBuffer {
        var texts = Array(repeating: "", count: answers.count)
        var tokens: [[ScoredToken]] = Array(repeating: [], count: answers.count)
        var last: [ServingPiece?] = Array(repeating: nil, count: answers.count)
        try await forEach(after: nil) { index, piece in
            texts[index] += piece.text
            tokens[index] += piece.tokens
            if piece.end != nil { last[index] = piece }
        }
        var response = APIResponse<Format.Whole>(
            id: id, object: format.objects.whole, created: created, model: model, choices: [])
        var usage = Usage()
        for index in answers.indices {
            // An answer without an end was cancelled, because the client is gone.
            guard let piece = last[index], let end = piece.end else { throw CancellationError() }
            response.choices.append(
                format.whole(index, text: texts[index], tokens: tokens[index], reason: end.reason))
            usage.add(end, countsPrompt: index % choices == 0)
            if index == 0 { response.morphkv = ResponseExtension(piece) }
        }
        response.usage = usage
        return try Coding.encode(response)
    }

    // MARK: As events

    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws {
        var usage = Usage()
        var offsets = Array(repeating: 0, count: answers.count)
        // The group's closure cannot capture an inout parameter.
        var writer = output
        defer { output = writer }
        do {
            for index in answers.indices {
                if let opening = format.opening(index) { try await writer.write(event(part([opening]))) }
            }
            guard let first else { return }
            try await forEach(after: first) { index, piece in
                let choice = format.part(index, piece, offset: offsets[index])
                offsets[index] += piece.text.count
                if let end = piece.end { usage.add(end, countsPrompt: index % choices == 0) }
                try await writer.write(event(part([choice], ResponseExtension(piece))))
            }
            if includesUsage {
                var summary = part([])
                summary.usage = usage
                try await writer.write(event(summary))
            }
        } catch let error as ServingError {
            try await writer.write(event((APIError(error as any Error) ?? .internalError).body))
        }
        try await writer.write(ByteBuffer(string: "data: [DONE]\n\n"))
    }

    private func part(_ choices: [Format.Part], _ morphkv: ResponseExtension? = nil) -> APIResponse<Format.Part> {
        APIResponse(
            id: id, object: format.objects.part, created: created, model: model, choices: choices, morphkv: morphkv)
    }

    private func event(_ value: some Encodable) throws -> ByteBuffer {
        var buffer = ByteBuffer(string: "data: ")
        buffer.writeImmutableBuffer(try Coding.encode(value))
        buffer.writeStaticString("\n\n")
        return buffer
    }
}
#endif
