#if Server
internal import Foundation
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// Writes the answers to one request, whole or as server-sent events.
struct AnswerWriter<Format: AnswerFormat>: ResponseWriter {
    private let pieces: PieceReader
    private let format: Format
    private let model: String
    /// Answers per prompt.
    private let choices: Int
    private let includesUsage: Bool
    /// Whether each part says what took how long.
    private let hasTimings: Bool
    /// The prompt as the model saw it, for whole answers that have it.
    private let seen: SeenPrompt?
    private let id: String
    private let created = Int(Date().timeIntervalSince1970)

    /// - Parameter onEnd: is told of every answer's end.
    init(
        answers: [AnswerStream], format: Format, model: String, choices: Int, includesUsage: Bool,
        hasTimings: Bool = false, seen: SeenPrompt? = nil,
        onEnd: @escaping @Sendable (ServingPiece.End) -> Void
    ) {
        pieces = PieceReader(answers, onEnd: onEnd)
        self.format = format
        self.model = model
        self.choices = choices
        self.includesUsage = includesUsage
        self.hasTimings = hasTimings
        self.seen = seen
        id = "\(format.prefix)-" + Coding.newID()
    }

    func first() async throws -> ServingPiece? { try await pieces.first() }

    // MARK: Whole

    func whole() async throws -> ByteBuffer {
        var texts = Array(repeating: "", count: pieces.count)
        var tokens: [[ScoredToken]] = Array(repeating: [], count: pieces.count)
        var last: [ServingPiece?] = Array(repeating: nil, count: pieces.count)
        try await pieces.forEach(after: nil) { index, piece in
            texts[index] += piece.text
            tokens[index] += piece.prompt + piece.tokens
            if piece.end != nil { last[index] = piece }
        }
        var response = APIResponse<Format.Whole>(
            id: id, object: format.objects.whole, created: created, model: model, choices: [])
        var usage = Usage()
        for index in 0..<pieces.count {
            // An answer without an end was cancelled, because the client is gone.
            guard let piece = last[index], let end = piece.end else { throw CancellationError() }
            response.choices.append(
                format.whole(index, text: texts[index], tokens: tokens[index], reason: end.reason))
            usage.add(end, countsPrompt: index % choices == 0)
            guard index == 0 else { continue }
            response.morphkv = ResponseExtension(piece)
            response.timings = Timings(end.timings)
        }
        response.usage = usage
        response.seen = seen
        return try Coding.encode(response)
    }

    // MARK: As events

    func stream(from first: ServingPiece?, to output: inout any ResponseBodyWriter) async throws {
        var usage = Usage()
        var offsets = Array(repeating: 0, count: pieces.count)
        // The group's closure cannot capture an inout parameter.
        var writer = output
        defer { output = writer }
        do {
            for index in 0..<pieces.count {
                if let opening = format.opening(index) { try await writer.write(Coding.event(part([opening]))) }
            }
            guard let first else { return }
            var timings: Timings?
            try await pieces.forEach(after: first) { index, whole in
                for piece in whole.parts {
                    if let end = piece.end { usage.add(end, countsPrompt: index % choices == 0) }
                    let choice = piece.progress == nil ? [format.part(index, piece, offset: offsets[index])] : []
                    offsets[index] += piece.text.count
                    var message = part(choice, ResponseExtension(piece))
                    message.promptProgress = piece.progress.map { PromptProgress($0, piece.timings) }
                    if hasTimings { message.timings = Timings(piece.timings) }
                    timings = Timings(piece.timings)
                    try await writer.write(Coding.event(message))
                }
            }
            if includesUsage {
                var summary = part([])
                summary.usage = usage
                summary.timings = timings
                try await writer.write(Coding.event(summary))
            }
        } catch let error as ServingError {
            try await writer.write(Coding.event((APIError(error as any Error) ?? .internalError).body))
        }
        try await writer.write(ByteBuffer(string: "data: [DONE]\n\n"))
    }

    private func part(_ choices: [Format.Part], _ morphkv: ResponseExtension? = nil) -> APIResponse<Format.Part> {
        APIResponse(
            id: id, object: format.objects.part, created: created, model: model, choices: choices, morphkv: morphkv)
    }
}
#endif
