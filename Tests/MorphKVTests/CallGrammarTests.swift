import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// Grammars that hold from where a call begins.
@Suite(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there")) struct CallGrammarTests {
    private var tokenizer: Tokenizer { ChatTemplateTests.tokenizer }

    private func state(
        _ template: String, _ change: (inout ChatInput) -> Void = { _ in }
    ) throws -> GrammarState {
        let template = try ChatTemplate(tokenizer, source: ChatTemplates.source(template))
        let prompt = try template.apply(ChatTemplateTests.input(ChatTemplateTests.question, change))
        return try GrammarState(#require(prompt.grammar), tokenizer)
    }

    /// Feeds a text; how many of its characters were allowed.
    private func allowed(_ text: String, by state: GrammarState) -> Int {
        for (index, character) in text.enumerated() {
            // SentencePiece puts a space before a text, and newlines are bytes.
            let tokens = tokenizer.encode("a" + String(character), addSpecial: false).dropFirst()
            guard tokens.allSatisfy({ state.accept($0) }) else { return index }
        }
        return text.count
    }

    @Test("anything goes until a call begins, and then the call's rules hold")
    func waiting() throws {
        let state = try state("Qwen-Qwen2.5")
        let before = "Let me see {what} [there] is. <tool_cal <tool_call>"
        #expect(allowed(before, by: state) == before.count && state.mayEnd)
        let call = "\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bonn\"}}\n</tool_call>"
        #expect(allowed(call, by: state) == call.count && state.mayEnd)
        #expect(allowed("x", by: state) == 0)
    }

    @Test("a call that breaks its rules is not begun, however long the text before it is")
    func breaking() throws {
        let state = try state("Qwen-Qwen2.5")
        let before = String(repeating: "word ", count: 2000) + "<tool_call>\n{\"name\": \"get_"
        #expect(allowed(before, by: state) == before.count)
        #expect(allowed("never", by: state) == 0 && !state.mayEnd)
    }

    @Test("what is thought begins no call")
    func thinking() throws {
        let state = try state("Qwen-Qwen3")
        let thought = "<think>\nI could write <tool_call>\nnothing\n</think>\n\n"
        #expect(allowed(thought, by: state) == thought.count)
        #expect(allowed("<tool_call>\nnothing", by: state) == "<tool_call>\n".count)
    }

    @Test("a call that has to be made begins at once")
    func required() throws {
        for template in ["Qwen-Qwen2.5", "meta-llama-Llama-3.1", "Mistral-Small", "microsoft-phi-4"] {
            let state = try state(template) { $0.toolChoice = .required }
            #expect(allowed("Well, ", by: state) == 0 && !state.mayEnd, "\(template)")
        }
    }
}
