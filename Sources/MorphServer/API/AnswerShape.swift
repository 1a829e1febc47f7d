#if Server
internal import MorphKV
internal import NIOCore

/// What a request says about the form of its answers, in the fields of OpenAI's interface and of llama-server's.
struct AnswerShape: Decodable, Sendable {
    struct ResponseFormat: Decodable, Sendable {
        struct Named: Decodable, Sendable {
            var schema: Present?
        }

        var type: String?
        var schema: Present?
        var jsonSchema: Named?
    }

    /// A value that only counts as being there.
    struct Present: Decodable, Sendable {
        init(from decoder: any Decoder) throws {}
    }

    var responseFormat: ResponseFormat?
    /// llama-server's: a schema at the top.
    var jsonSchema: Present?
    /// llama-server's: GBNF.
    var grammar: String?

    /// The grammar of the answers; nil if anything goes.
    ///
    /// - Parameter body: the request as it came, since the order of a schema's members matters.
    /// - Throws: ``APIError`` naming the field that makes no sense; nothing is ever left out silently.
    func grammar(in body: ByteBuffer, _ tokenizer: Tokenizer) throws -> Grammar? {
        let wanted = fields
        guard let field = wanted.first else { return nil }
        guard wanted.count == 1 else {
            throw APIError.invalid("'\(wanted[0])' and '\(wanted[1])' do not go together", param: wanted[1])
        }
        guard Grammar.isAvailable else {
            throw APIError.invalid(
                "this server runs with a copy of llama.cpp that has no grammars", param: field, code: "unsupported")
        }
        do {
            let grammar = try gbnf.map(Grammar.init(gbnf:)) ?? Grammar(jsonSchema: schema(in: body))
            try grammar.check(with: tokenizer)
            return grammar
        } catch let error as GenerationError where error.kind == .grammar {
            throw APIError.invalid(error.description, param: field)
        }
    }

    /// The field that prescribes a form, if one does.
    var field: String? { fields.first }

    private var fields: [String] {
        [gbnf.map { _ in "grammar" }, jsonSchema.map { _ in "json_schema" }, format.map { _ in "response_format" }]
            .compactMap(\.self)
    }

    /// The JSON schema of the answers; nil if they have none.
    func jsonSchema(in body: ByteBuffer) throws -> String? {
        try jsonSchema == nil && format == nil ? nil : schema(in: body)
    }

    /// The kind of format, if it is not any text.
    private var gbnf: String? { grammar.flatMap { $0.isEmpty ? nil : $0 } }

    private var format: String? { responseFormat?.type.flatMap { $0 == "text" ? nil : $0 } }

    private func schema(in body: ByteBuffer) throws -> String {
        let path: [String]? =
            switch format {
            case nil: ["json_schema"]
            case "json_object": responseFormat?.schema.map { _ in ["response_format", "schema"] }
            case "json_schema":
                responseFormat?.jsonSchema?.schema.map { _ in ["response_format", "json_schema", "schema"] }
            case let other?:
                throw APIError.invalid(
                    "'response_format' has the type '\(other.prefix(40))': text, json_object or json_schema is possible",
                    param: "response_format")
            }
        let schema = try path.map { try OrderedJSON.member(of: body.readableBytesView, at: $0) }
        // Without a schema any object will do.
        return schema.flatMap { $0 == "{}" ? nil : $0 } ?? #"{"type": "object"}"#
    }
}
#endif
