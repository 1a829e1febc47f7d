import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Answers that keep to a grammar, on a small trained model.
@Suite struct GrammarTests {
    struct Girl: SchemaDecodable, Equatable {
        var name: String
        var age: Int
        static let jsonSchema = #"""
            {"type": "object", "required": ["name", "age"], "additionalProperties": false, "properties": {
                "name": {"enum": ["Lily", "Zoe"]}, "age": {"type": "integer", "minimum": 3, "maximum": 9}}}
            """#
    }

    static let model: Model = {
        guard let model = try? Model(contentsOf: Fixtures.stories) else { preconditionFailure("a fixture is a model") }
        return model
    }()

    static func text(_ grammar: Grammar, _ options: GenerationOptions = .init(maxTokens: 200)) async throws -> (
        text: String, finish: Generation.FinishReason?
    ) {
        var (options, text) = (options, "")
        options.grammar = grammar
        var finish: Generation.FinishReason?
        let session = try Session(model, cache: .morphKV(capacity: 64, window: 8), threads: 1)
        for try await piece in session.generate("Once upon a time", options: options) {
            text += piece.text
            finish = piece.finish
        }
        return (text, finish)
    }

    @Test("an answer is one of those that a grammar allows, and ends where it does", arguments: [0, 1, 2] as [UInt32])
    func keepsToAGrammar(seed: UInt32) async throws {
        let grammar = try Grammar(
            gbnf: "# three of them\nroot ::= \" \" name (\" and \" name){1,2} \".\"\nname ::= \"Bo\" | \"Ö7\"")
        let sampling = SamplingOptions(temperature: seed == 0 ? 0 : 1, seed: seed)
        let answer = try await Self.text(grammar, .init(maxTokens: 200, sampling: sampling))
        #expect(answer.finish == .stop)
        #expect(answer.text.wholeMatch(of: /\ (Bo|Ö7)( and (Bo|Ö7)){1,2}\./) != nil, "\(answer.text)")
    }

    @Test func aValueIsAskedForByItsType() async throws {
        let session = try Session(Self.model, threads: 1)
        let girl = try await session.generate("Once upon a time", as: Girl.self)
        #expect(["Lily", "Zoe"].contains(girl.name) && (3...9).contains(girl.age))
        await #expect {
            _ = try await session.generate(" and", as: Girl.self, options: .init(maxTokens: 3))
        } throws: { ($0 as? GenerationError)?.kind == .cutShort }
        // The session goes on.
        #expect(try await SessionTests.tokens(session.generate(" there", options: .init(maxTokens: 5))).count == 5)
    }

    @Test(
        "a vocabulary of a hundred thousand pieces takes no more memory than one may",
        .enabled(if: !Vocabularies.files.isEmpty, "llama.cpp's vocabularies are not in .deps/share/vocabularies"))
    func largeVocabularies() async throws {
        let tokenizer = try #require(Vocabularies.files.first { $0.lastPathComponent == "ggml-vocab-llama-bpe.gguf" })
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "large.gguf")
        var model = try RandomModel(
            ModelShape(
                "llama", embedding: 32, layers: 1, feedForward: 32, queryHeads: 1, kvHeads: 1, headDimension: 32,
                vocabulary: 128256, tiesEmbeddings: true, context: 512, ropeBase: 10000),
            type: .q8_0, seed: 3, tokenizer: GgufFile(contentsOf: tokenizer))
        try model.write(to: url)
        let session = try Session(Model(contentsOf: url), threads: 1)
        var text = ""
        let options = GenerationOptions(maxTokens: 20, grammar: try Grammar(gbnf: "root ::= \"[zebra, ant]\""))
        for try await piece in session.generate("Once upon a time", options: options) { text += piece.text }
        #expect(text == "[zebra, ant]")
    }

    @Test("a grammar changes nothing where it allows everything")
    func allowingEverything() async throws {
        let free = try await Self.text(Grammar(gbnf: "root ::= [^☃]*"), .init(maxTokens: 60))
        let session = try Session(Self.model, cache: .morphKV(capacity: 64, window: 8), threads: 1)
        var text = ""
        for try await piece in session.generate("Once upon a time", options: .init(maxTokens: 60)) {
            text += piece.text
        }
        #expect(free.text == text)
    }

    /// Ten schemas for each seed; MORPHKV_SCHEMAS says how many in all.
    private static let seeds: Range<Int> =
        0..<max(1, (ProcessInfo.processInfo.environment["MORPHKV_SCHEMAS"].flatMap { Int($0) } ?? 300) / 10)

    /// Any logits at all, so that the grammar alone keeps the texts in shape.
    @Test("what is written by a random schema can be parsed, and the schema allows it", arguments: seeds)
    func randomSchemas(seed: Int) throws {
        let tokenizer = try #require(Self.model.tokenizer)
        var random = SplitMix64(seed: UInt64(seed))
        for _ in 0..<10 {
            let schema = RandomSchema.draw(depth: 2, &random)
            guard let text = try Self.written(by: Grammar(jsonSchema: schema.json), tokenizer, &random) else {
                continue
            }
            // 1e999 is JSON, but no number of Foundation's.
            if text.contains(/[0-9][eE][+-]?[0-9]{3}/) { continue }
            let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            #expect(schema.allows(value), "\(text) by \(schema.json)")
        }
    }

    /// A text by random logits at temperature 1; nil if it is not over after 300 tokens.
    private static func written(
        by grammar: Grammar, _ tokenizer: Tokenizer, _ random: inout SplitMix64
    ) throws -> String? {
        let options = SamplingOptions(
            temperature: 1, topK: 0, topP: 1, minP: 0, seed: UInt32.random(in: 0...UInt32.max, using: &random))
        let sampler = try Sampler(options, after: [], vocabularySize: tokenizer.vocabularySize)
        let state = try GrammarState(grammar, tokenizer)
        // Numbers and open texts should come to an end.
        let closing = Set(["\"", ",", "}", "]"].flatMap { tokenizer.encode($0, addSpecial: false) })
        // Parts of characters, of which random ones make no UTF-8, come only where nothing else can.
        let parts = Set(
            (0..<Token(tokenizer.vocabularySize)).filter { tokenizer.bytes(of: $0).first.map { $0 > 127 } ?? false })
        var text: [UInt8] = []
        for _ in 0..<300 {
            let logits = (0..<tokenizer.vocabularySize).map {
                Float.random(in: -2...2, using: &random) + (closing.contains(Token($0)) ? 4 : 0)
                    - (parts.contains(Token($0)) ? 50 : 0)
            }
            guard let token = try sampler.sample(logits, within: state), !tokenizer.endsGeneration(token) else {
                return String(decoding: text, as: UTF8.self)
            }
            text += tokenizer.bytes(of: token)
        }
        return nil
    }

    @Test(
        "what makes no sense is refused with the reason",
        arguments: [
            ("root ::= \"a\" b", "there is no rule 'b'"), ("a ::= \"b\"", "there is no rule 'root'"),
            ("root ::= root \"a\"", "begins with itself"), ("root = \"a\"", "expecting ::="),
            ("", "there is no rule 'root'"),
            ("root ::= \"a\"{30000,30001} \"b\"{30000}", "repetitions"),
        ])
    func nonsense(gbnf: String, reason: String) throws {
        let tokenizer = try #require(Self.model.tokenizer)
        #expect {
            try Grammar(gbnf: gbnf).check(with: tokenizer)
        } throws: {
            let error = $0 as? GenerationError
            return error?.kind == .grammar && error?.description.contains(reason) == true
        }
    }

    private static let deep =
        String(repeating: #"{"anyOf":["#, count: 200) + String(repeating: "]}", count: 200)

    @Test(
        "what a schema demands and a grammar cannot is refused by name",
        arguments: [
            #""type": "string", "pattern": "(?=a)""#: "pattern", #""type": "string", "pattern": "^(?=a)$""#: "pattern",
            #""type": "string", "pattern": "^a$", "minLength": 2"#: "minLength",
            #""type": "number", "minimum": 0"#: "minimum",
            #""type": "array", "uniqueItems": true"#: "uniqueItems", #""not": {}"#: "not",
            #""anyOf": [{"type": "null"}], "type": "integer""#: "type",
            #""type": "object", "required": ["a"]"#: "'a'",
            #""items": [{"type": "null"}], "maxItems": 0"#: "maxItems",
            #""type": "array", "items": {"type": ["integer", "string"], "multipleOf": 3}"#: "multipleOf",
            ##""properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"contains": {}}}"##: "contains",
        ])
    func demands(schema: String, name: String) {
        #expect {
            try Grammar(jsonSchema: "{\(schema)}")
        } throws: {
            let error = $0 as? GenerationError
            return error?.kind == .grammar && error?.description.contains(name) == true
        }
    }

    @Test(
        "a schema that gives no grammar is refused",
        arguments: [
            "{", "[]", #"{"type": "nothing"}"#, ##"{"$ref": "#/nowhere"}"##, deep,
            String(repeating: " ", count: Grammar.mostBytes + 1),
        ])
    func refusedSchemas(schema: String) {
        #expect { try Grammar(jsonSchema: schema) } throws: { ($0 as? GenerationError)?.kind == .grammar }
    }

    @Test("members are asked for in the order in which the schema has them")
    func orderOfMembers() async throws {
        let schema = #"{"properties": {"zebra": {"const": 1}, "ant": {"const": 2}}, "required": ["ant", "zebra"]}"#
        let answer = try await Self.text(Grammar(jsonSchema: schema))
        #expect(answer.text.filter { !$0.isWhitespace } == #"{"zebra":1,"ant":2}"#)
        let whole = Array(#"{"a": {"s": \#(schema)}, "b": "{[("}"#.utf8)
        #expect(try OrderedJSON.member(of: whole, at: ["a", "s", "properties"]).hasPrefix(#"{"zebra""#))
        #expect(throws: GenerationError.self) { try OrderedJSON.member(of: whole, at: ["a", "t"]) }
    }

    @Test("where no token can follow, the answer ends with an error, not with something else")
    func noTokenFollows() throws {
        let tokenizer = try #require(Self.model.tokenizer)
        let state = try GrammarState(Grammar(gbnf: "root ::= \"ab\""), tokenizer)
        let token = try #require(tokenizer.encode("x", addSpecial: false).last)
        #expect(!state.allows(token) && !state.accept(token) && !state.mayEnd)
    }
}
