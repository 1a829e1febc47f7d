import Foundation
import MorphEval
import Testing

@Suite("Prompts for a model")
struct PromptBuilderTests {
    private func request(
        _ prompt: EvaluationPrompt, contextLength: Int = 1000, limit: Int = 100,
        _ change: (inout EvaluationSettings) -> Void = { _ in }
    ) throws -> EvaluationRequest {
        let sample = EvaluationSample(
            id: "s", prompt: prompt, maximumNewTokens: limit, answerField: .response, fields: [])
        var settings = SmallBenchmarks.settings("longwriter", "d", [sample])
        settings.seed = 5
        change(&settings)
        let model = EchoModel(contextLength: contextLength) { _ in [] }
        return try PromptBuilder(model: model, settings: settings).request(for: sample, index: 3)
    }

    @Test("a prompt stands in the chat template unless the benchmark or the user leaves it out")
    func template() throws {
        let prompt = EvaluationPrompt("hello", usesChatTemplate: true)
        #expect(try request(prompt).questions.map(\.text) == ["<user>hello<answer>"])
        #expect(try request(prompt) { $0.usesChatTemplate = false }.questions.map(\.text) == ["hello"])
        #expect(try request(EvaluationPrompt("hello", usesChatTemplate: false)).questions.map(\.text) == ["hello"])
    }

    @Test("each sample has a seed of its own, the same in every call")
    func seed() throws {
        #expect(try request(EvaluationPrompt("x", usesChatTemplate: false)).seed == 8)
    }

    @Test("the middle of a long prompt is cut so that the answer has room, or where the user says")
    func truncation() throws {
        let prompt = EvaluationPrompt("abcdefghij", usesChatTemplate: false)
        // 100 tokens of context less 93 for the answer would be 7, but half of the context is the prompt's.
        #expect(try !request(prompt, contextLength: 100, limit: 93).promptWasCut)
        let cut = try request(prompt, contextLength: 14, limit: 7)
        #expect(cut.promptWasCut && cut.questions.map(\.text) == ["abchij"])
        let chosen = try request(prompt) { $0.maximumPromptTokens = 5 }
        #expect(chosen.questions.map(\.text) == ["abij"])
    }

    @Test("a question that leaves no room for anything else is an error")
    func noRoom() throws {
        var prompt = EvaluationPrompt("a question that is too long", usesChatTemplate: true)
        prompt.context = "context"
        let error = #expect(throws: EvaluationError.self) { try request(prompt, contextLength: 20) }
        #expect(error?.kind == .model)
    }

    @Test("questions share a context, which alone is cut")
    func sharedContext() throws {
        var prompt = EvaluationPrompt("", usesChatTemplate: true)
        prompt.system = "be brief"
        prompt.instruction = "Read. "
        prompt.context = "0123456789"
        prompt.questions = ["first", "second"]
        prompt.rawEnding = " Answer:"
        let whole = try request(prompt)
        #expect(whole.system.text == "<be brief><user>Read. " && whole.system.first == 0)
        #expect(whole.context.text == "0123456789")
        #expect(whole.questions.map(\.text) == ["first<answer>", "second<answer>"])
        let raw = try request(prompt) {
            $0.usesChatTemplate = false
            $0.maximumPromptTokens = 4 + 6 + 8 + 1
        }
        #expect(raw.questions.map(\.text) == ["first Answer:", "second Answer:"])
        #expect(raw.context.text == "0123456789" && !raw.promptWasCut)
        let cut = try request(prompt, contextLength: 29, limit: 2) { $0.usesChatTemplate = false }
        #expect(cut.context.text == "012789" && cut.promptWasCut)
        #expect(cut.questions == raw.questions)
    }
}
