import CLlama
import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// What a grammar remembers of its places says of every token what libllama says of that token alone.
@Suite struct GrammarPlaceTests {
    private static let words = "root ::= \"[\" string (\",\" string)*\nstring ::= \" \"? [a-z]+ \" \"?"
    private static let letters = "root ::= (\"Bö\" | \"Ö7\" | [α-ω日本語]+ \"x\" | [^a-z\\u00e0-\\uffff]{2} .)*"
    /// So much can follow that it is more than may be remembered.
    private static let list =
        "root ::= (word \",\")*\nword ::= "
        + (0..<2000).map { #""\#(String(8000 + $0, radix: 20))""# }.joined(separator: " | ")

    /// Follows a grammar by tokens drawn at random, and compares at each place.
    ///
    /// - Parameter every: of so many tokens one is looked at.
    private static func compare(_ gbnf: String, _ tokenizer: Tokenizer, steps: Int, every: Int) throws {
        let state = try GrammarState(Grammar(gbnf: gbnf), tokenizer)
        var random = SplitMix64(seed: 11)
        for step in 0..<steps {
            var candidates = (0..<tokenizer.vocabularySize).map { llama_token_data(id: Token($0), logit: 1, p: 0) }
            let left = candidates.withUnsafeMutableBufferPointer { state.constrain($0) }
            let allowed = candidates.filter { $0.logit > -.infinity }.map(\.id)
            #expect(allowed.count == left)
            let known = Set(allowed)
            for token in stride(from: step % every, to: candidates.count, by: every).map(Token.init)
            where state.allows(token) != known.contains(token) {
                Issue.record("token \(token) (\(tokenizer.decode([token])) at step \(step) of \(gbnf.prefix(80))")
            }
            let next = allowed.filter { !tokenizer.endsGeneration($0) }.randomElement(using: &random)
            guard let next else { return }
            #expect(state.accept(next))
        }
    }

    @Test("for every token of a small vocabulary", arguments: [words, letters, list, "root ::= .*", #"root ::= "a"?"#])
    func small(gbnf: String) throws {
        try Self.compare(gbnf, #require(GrammarTests.model.tokenizer), steps: gbnf == Self.list ? 4 : 25, every: 1)
    }

    @Test("for every token of a small vocabulary, by schemas drawn at random", arguments: 0..<20)
    func schemas(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let schema = RandomSchema.draw(depth: 2, &random)
        try Self.compare(
            Grammar(jsonSchema: schema.json).gbnf, #require(GrammarTests.model.tokenizer), steps: 40, every: 1)
    }

    @Test(
        "for tokens that begin and end within characters",
        .enabled(if: !Vocabularies.files.isEmpty, "llama.cpp's vocabularies are not in .deps/share/vocabularies"),
        arguments: ["gpt-2", "llama-spm"])
    func parts(name: String) throws {
        let file = try #require(Vocabularies.files.first { $0.lastPathComponent == "ggml-vocab-\(name).gguf" })
        try Self.compare(Self.letters, Tokenizer(contentsOf: file), steps: 6, every: 17)
    }

    @Test("rules about tokens are followed without it")
    func rulesAboutTokens() throws {
        try Self.compare("root ::= !<[300]> [a-z]+", #require(GrammarTests.model.tokenizer), steps: 4, every: 1)
    }
}
