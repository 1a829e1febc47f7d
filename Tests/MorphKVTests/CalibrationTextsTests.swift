import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// The texts that a model writes to be calibrated.
@Suite struct CalibrationTextsTests {
    private static let prompts = ["Once upon a time", "Lily", "Tom had a big red ball. He", "One day"]

    private static func options(leastTokens: Int? = nil) -> Calibrator.Options {
        var options = Calibrator.Options()
        (options.windows, options.leastTokens) = ([20], leastTokens)
        return options
    }

    /// The model with another token that ends texts.
    private static func model(endingWith token: Token) throws -> Model {
        var file = try RawGguf(parsing: [UInt8](Data(contentsOf: Fixtures.stories)))
        file["tokenizer.ggml.eos_token_id"] = .u32(UInt32(token))
        let url = TestContexts.temporaryFile()
        try Data(file.bytes).write(to: url)
        return try Model(contentsOf: url)
    }

    @Test("prompts that the model answers by ending the text are left out, and answers that are too short")
    func uselessAnswers() throws {
        func answers(_ model: Model) throws -> [Calibrator.Text] {
            try CalibrationTexts(model, length: 100, options: Self.options(leastTokens: 20), threads: 1)
                .answers(to: Self.prompts)
        }
        let whole = try answers(Model(contentsOf: Fixtures.stories))
        #expect(whole.count == Self.prompts.count && whole.allSatisfy { $0.tokens.count == 100 })
        var (atOnce, short, kept) = (0, 0, 0)
        for end in Set(whole.map { $0.tokens[$0.answer] }) {
            let cut = whole.map { text in
                let answer = text.tokens[text.answer...].prefix { $0 != end }
                return Calibrator.Text(Array(text.tokens[..<text.answer] + answer), answer: text.answer)
            }
            let expected = cut.filter { $0.tokens.count > $0.answer && $0.tokens.count >= 22 }
            #expect(try answers(Self.model(endingWith: end)) == expected)
            atOnce += cut.count { $0.tokens.count == $0.answer }
            short += cut.count { $0.tokens.count > $0.answer && $0.tokens.count < 22 }
            kept += expected.count
        }
        #expect(atOnce >= Self.prompts.count && short > 0 && kept > 0)
    }

    @Test("texts that nothing can be learned from are refused before the model writes one")
    func tooLittle() throws {
        let model = try Model(contentsOf: Fixtures.stories)
        func expectRefused(_ what: String, _ body: () throws -> Void) {
            let error = #expect(throws: CacheError.self) { try body() }
            #expect(error?.kind == .calibration && error?.description.contains(what) == true)
        }
        expectRefused("22, are needed") { _ = try CalibrationTexts(model, length: 21, options: Self.options()) }
        let texts = try CalibrationTexts(model, length: 22, options: Self.options(), threads: 1)
        expectRefused("189 tokens have a query 1 later; 512 are needed") {
            _ = try texts.samples(tokens: 200, seed: 0) { _, _ in Issue.record("a text was begun") }
        }
        expectRefused("84 tokens have a query 1 later; 512 are needed") {
            _ = try texts.answers(to: Self.prompts) { _, _ in Issue.record("an answer was begun") }
        }
    }

    @Test("writing that was stopped, more than once, goes on and gives the same texts")
    func stopAndContinue() throws {
        let texts = try CalibrationTexts(
            Model(contentsOf: Fixtures.stories), length: 40, options: Self.options(leastTokens: 20),
            threads: 1)
        let whole = try texts.samples(tokens: 800, seed: 3)
        let partial = TestContexts.temporaryFile()
        struct Stopped: Error {}
        // Eight texts at a time; the first of them end at 320 tokens.
        for limit in [300, 330, 500, 700] {
            #expect(throws: Stopped.self) {
                try texts.samples(tokens: 800, seed: 3, partial: partial) { done, _ in
                    if done >= limit { throw Stopped() }
                }
            }
            #expect(FileManager.default.fileExists(atPath: partial.path) == (limit > 320))
        }
        var first: Int?
        let rest = try texts.samples(tokens: 800, seed: 3, partial: partial) { done, _ in first = first ?? done }
        #expect(rest == whole && whole.count == 20)
        #expect(try #require(first) >= 600)
    }
}
