#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// `/tokenize`, `/detokenize` and `/apply-template`: what the model sees of a text. The first two are understood in the words of
/// vLLM too, which evaluation harnesses use, with `/tokenizer_info`.
struct TokenRoutes: Sendable {
    let completions: CompletionRoutes
    private var tokenizer: Tokenizer { completions.tokenizer }

    private struct TokenizeRequest: Decodable, Sendable {
        var content: String?
        /// vLLM's name for `content`.
        var prompt: String?
        var addSpecial: Bool?
        /// vLLM's name for `add_special`.
        var addSpecialTokens: Bool?
        var parseSpecial: Bool?
        var withPieces: Bool?
    }

    private struct DetokenizeRequest: Decodable, Sendable {
        var tokens: [Token]
    }

    func tokenize(_ request: Request) async throws -> Response {
        try await respond(request) { body in
            let wanted = try Coding.decode(TokenizeRequest.self, from: body)
            guard let text = wanted.content ?? wanted.prompt else {
                throw APIError.invalid("'content' is missing", param: "content")
            }
            let tokens = tokenizer.encode(
                text, addSpecial: wanted.addSpecial ?? wanted.addSpecialTokens ?? false,
                parseSpecial: wanted.parseSpecial != false)
            return ["tokens": .array(tokens.map { wanted.withPieces == true ? piece($0) : .int(Int($0)) })]
        }
    }

    /// A token and its text, or its bytes where they are only a part of a character.
    private func piece(_ token: Token) -> JSONValue {
        let bytes = tokenizer.bytes(of: token, special: true)
        let text = String(decoding: bytes, as: UTF8.self)
        let isWhole = Array(text.utf8) == bytes
        return ["id": .int(Int(token)), "piece": isWhole ? .string(text) : .array(bytes.map { .int(Int($0)) })]
    }

    func detokenize(_ request: Request) async throws -> Response {
        try await respond(request) { body in
            let wanted = try Coding.decode(DetokenizeRequest.self, from: body)
            guard wanted.tokens.allSatisfy(tokenizer.contains) else {
                throw APIError.invalid("'tokens' has an id that there is not", param: "tokens")
            }
            let text = JSONValue.string(tokenizer.decode(wanted.tokens, special: true))
            return ["content": text, "prompt": text]
        }
    }

    /// The tokens that mark the beginning and the end of texts, and the chat template.
    func info() throws -> Response {
        func name(_ token: Token?) -> JSONValue {
            token.map { .string(tokenizer.decode([$0], special: true)) } ?? .null
        }
        return try Response.json([
            "bos_token": name(tokenizer.beginOfText), "eos_token": name(tokenizer.endOfText),
            "chat_template": completions.chatFormat.template.map { .string($0.source) } ?? .null,
        ])
    }

    func applyTemplate(_ request: Request) async throws -> Response {
        try await respond(request) { body in ["prompt": .string(try completions.chatPrompt(body))] }
    }

    /// Tokens of a chat's prompt.
    func count(_ request: Request) async throws -> Response {
        try await respond(request) { body in ["input_tokens": .int(try completions.chatTokens(body).count)] }
    }

    private func respond(
        _ request: Request, _ answer: @escaping @Sendable (ByteBuffer) throws -> JSONValue
    ) async throws -> Response {
        try Response.json(await completions.reader.understand(request) { body in try answer(body) })
    }
}
#endif
