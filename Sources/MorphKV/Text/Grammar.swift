internal import CLlamaCommon

/// What a text must look like: a grammar in GBNF, the notation of llama.cpp.
///
/// ```swift
/// let answer = try Grammar(jsonSchema: #"{"type": "object", "properties": {"celsius": {"type": "number"}}, "required": ["celsius"]}"#)
/// let options = GenerationOptions(grammar: answer)
/// ```
///
/// Schemas are turned into grammars by llama.cpp, and what it cannot express is refused, never left out.
public struct Grammar: Sendable, Hashable, Codable {
    /// The rules; the text is a `root`.
    public let gbnf: String
    /// Which part of a text they are about, as a chat template says it; nil if they are about all of it.
    private let use: String?

    /// The most bytes of a grammar or a schema.
    public static let mostBytes = 1 << 16
    /// The most bytes of the grammar that a chat template makes of a request's tools.
    static let mostTemplateBytes = 1 << 18
    /// How deep parentheses, brackets and braces may be nested in a grammar or a schema: both are read by recursion.
    public static let mostDepth = 100

    /// Whether grammars can be used: a copy of llama.cpp without its library `common` has none.
    public static var isAvailable: Bool { llama_common_is_available() }

    /// Any JSON object.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if there are no grammars; see ``isAvailable``.
    public static func jsonObject() throws -> Grammar { try Grammar(jsonSchema: #"{"type": "object"}"#) }

    /// A grammar as it is.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if it is too large; whether its rules make sense is seen when it is
    ///   used or given to ``check(with:)``.
    public init(gbnf: String) throws {
        try Self.checkSize(gbnf, "grammar")
        self.gbnf = gbnf
        use = nil
    }

    /// The grammar of a chat template's answers.
    ///
    /// - Parameter use: for `llama_common_grammar_create`.
    /// - Throws: ``GenerationError`` of kind `grammar` if it is larger than ``mostTemplateBytes``.
    init(gbnf: String, use: String) throws {
        guard gbnf.utf8.count <= Self.mostTemplateBytes else {
            throw GenerationError(
                .grammar,
                "tools and schema give a grammar of \(gbnf.utf8.count) bytes: \(Self.mostTemplateBytes) at most")
        }
        self.gbnf = gbnf
        self.use = use
    }

    /// The JSON texts that a JSON schema allows.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if it is none, or says what cannot be turned into a grammar.
    public init(jsonSchema: String) throws {
        try Self.checkSize(jsonSchema, "schema")
        try SchemaCheck(convert: Self.gbnf).run(jsonSchema)
        gbnf = try Self.gbnf(of: jsonSchema)
        use = nil
    }

    private static func gbnf(of jsonSchema: String) throws -> String {
        var reason: UnsafeMutablePointer<CChar>?
        guard let text = llama_common_grammar_of_schema(jsonSchema, &reason) else {
            throw GenerationError(.grammar, "the schema gives no grammar: \(Self.text(reason))")
        }
        defer { llama_common_free(text) }
        return String(cString: text)
    }

    /// Whether a model's texts can follow it.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if its rules make no sense.
    public func check(with tokenizer: Tokenizer) throws { _ = try GrammarState(self, tokenizer) }

    /// Bytes that it takes at the beginning of a text, and in itself.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if its rules make no sense.
    package func bytes(with tokenizer: Tokenizer) throws -> Int {
        try GrammarState(self, tokenizer).bytes + gbnf.utf8.count + (use?.utf8.count ?? 0)
    }

    private static func checkSize(_ text: String, _ what: String) throws {
        guard text.utf8.count <= mostBytes, !text.utf8.contains(0) else {
            throw GenerationError(
                .grammar, "a \(what) of \(text.utf8.count) bytes: \(mostBytes) at most, none of them 0")
        }
        let depth = Nesting.depth(of: text.utf8)
        guard depth <= mostDepth else {
            throw GenerationError(.grammar, "a \(what) that is nested \(depth) deep: \(mostDepth) at most")
        }
    }

    /// Calls `body` with the rules and what they are about.
    func withTexts<Result>(_ body: (UnsafePointer<CChar>, UnsafePointer<CChar>?) -> Result) -> Result {
        gbnf.withCString { rules in
            guard let use else { return body(rules, nil) }
            return use.withCString { body(rules, $0) }
        }
    }

    /// The beginning of what the C++ library says, which may repeat the whole input.
    static func text(_ reason: UnsafeMutablePointer<CChar>?) -> String {
        guard let reason else { return "memory is short" }
        defer { llama_common_free(reason) }
        return String(String(cString: reason).prefix(200))
    }
}

/// A grammar at one place of a text.
///
/// Not Sendable: it moves on with every token.
final class GrammarState {
    private let state: OpaquePointer
    /// The state looks into them.
    private let pieces: VocabularyPieces

    /// The beginning of a text.
    ///
    /// - Throws: ``GenerationError`` of kind `grammar` if the rules make no sense.
    init(_ grammar: Grammar, _ tokenizer: Tokenizer) throws {
        guard let pieces = tokenizer.pieces else {
            throw GenerationError(.grammar, "there are no grammars: llama.cpp comes without its library `common` here")
        }
        var reason: UnsafeMutablePointer<CChar>?
        let state = grammar.withTexts { llama_common_grammar_create(pieces.pointer, $0, $1, &reason) }
        guard let state else { throw GenerationError(.grammar, "the grammar makes no sense: \(Grammar.text(reason))") }
        self.state = state
        self.pieces = pieces
    }

    deinit { llama_common_grammar_destroy(state) }

    /// Bytes that it took at its beginning; it grows by at most ``CommonLimits/growth``.
    var bytes: Int { llama_common_grammar_bytes(state) }

    /// Whether a token may come next.
    func allows(_ token: Token) -> Bool { llama_common_grammar_allows(state, token) }

    /// Whether the text may end here.
    var mayEnd: Bool { llama_common_grammar_may_end(state) }

    /// Takes the candidates that may not come next out: their logits become minus infinity.
    ///
    /// - Parameter candidates: `llama_token_data`.
    /// - Returns: how many are left.
    func constrain<Candidate>(_ candidates: UnsafeMutableBufferPointer<Candidate>) -> Int {
        llama_common_grammar_constrain(state, candidates.baseAddress, candidates.count)
    }

    /// Goes on by a token.
    ///
    /// - Returns: whether it may come next; where it may not, nothing changes.
    func accept(_ token: Token) -> Bool { llama_common_grammar_accept(state, token) }
}

/// The texts of a vocabulary's tokens, in order.
final class VocabularyPieces: @unchecked Sendable {
    // Sound to share: it is only read.
    fileprivate let pointer: OpaquePointer
    /// Keeps the vocabulary.
    private let file: VocabularyFile

    /// - Parameter vocabulary: of the file.
    init?(_ file: VocabularyFile, _ vocabulary: OpaquePointer) {
        guard let pointer = llama_common_pieces_create(UnsafeRawPointer(vocabulary)) else { return nil }
        self.pointer = pointer
        self.file = file
    }

    deinit { llama_common_pieces_destroy(pointer) }
}
