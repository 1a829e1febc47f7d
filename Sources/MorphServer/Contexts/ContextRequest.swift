#if Server
internal import MorphKV
internal import NIOCore

/// The body of `POST /v1/contexts`.
struct ContextRequest: Decodable, Sendable {
    /// Where scores of entries come from, as `compress --scores` has it.
    enum Scores: String, Decodable, Sendable {
        case kvzip, augur
    }

    /// Among which entries the best are chosen, as `compress --level` has it.
    enum Level: String, Decodable, Sendable {
        case pair, uniform, layer, head
    }

    /// A value that only counts as being there; see ``ChatRequest``.
    var messages: AnswerShape.Present?
    var name: String
    var text: String?
    var ratio: Double?
    var level: Level?
    var scores: Scores?
    /// For the level `layer`.
    var alpha: Double?
    /// For the level `head`.
    var sinks: Int?
    /// For the level `head`.
    var recent: Int?

    /// How much stays, chosen by what; what is not said is as in the command `compress`.
    var compression: Compression {
        let usual = Compression.Defaults.self
        let level: Compression.Level =
            switch level ?? .pair {
            case .pair: .pair
            case .uniform: .uniform
            case .layer: .layer(alpha: alpha ?? usual.alpha)
            case .head: .head(sinks: sinks ?? usual.sinks, recent: recent ?? usual.recent)
            }
        let source: Compression.Source = scores == .augur ? .calibration : .reconstruction(ReconstructionPrompt())
        return Compression(.ratio(ratio ?? usual.ratio), level: level, source: source)
    }

    /// The text as the model reads it.
    ///
    /// - Parameter body: the request as it came.
    /// - Throws: ``APIError`` naming the field that makes no sense.
    func contextText(_ body: ByteBuffer, _ tokenizer: Tokenizer, _ format: ChatFormat) throws -> ContextText {
        guard ServedContext.isValid(name: name) else {
            throw APIError.invalid(
                "'name' has 1 to 64 letters, digits, '.', '_' and '-', and does not begin with '.'", param: "name")
        }
        guard (0...1).contains(ratio ?? 0) else {
            throw APIError.invalid("'ratio' must be from 0 to 1", param: "ratio")
        }
        guard (text == nil) != (messages == nil) else {
            throw APIError.invalid("one of 'text' and 'messages' is needed", param: "text")
        }
        if let text {
            return ContextText(
                name, system: tokenizer.encode("", addSpecial: true, parseSpecial: true),
                document: tokenizer.encode(text, addSpecial: false), text: nil, compression: compression)
        }
        let conversation = try Coding.decode(ChatRequest.self, from: body).conversation()
        guard let user = conversation.last, user.role == "user",
            conversation.dropLast().map(\.role) == Array(repeating: "system", count: conversation.count - 1),
            conversation.count <= 2
        else {
            throw APIError.invalid(
                "'messages' are one of the user, and before it one of the system if there is one", param: "messages")
        }
        let system = conversation.count == 2 ? conversation[0].content : nil
        return ContextText(
            name, system: try format.tokensBeforeContext(system: system),
            document: tokenizer.encode(user.content, addSpecial: false), text: user.content, compression: compression)
    }
}
#endif
