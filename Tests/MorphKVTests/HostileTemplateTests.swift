import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// Templates, tools and messages that make no sense give errors.
@Suite(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there")) struct HostileTemplateTests {
    private var tokenizer: Tokenizer { ChatTemplateTests.tokenizer }

    @Test(
        "templates that make no sense are refused",
        arguments: [
            "", "{% for", "{{ nothing( }}", "{{ raise_exception('never') }}", "{{ messages[0]['content'] / 0 }}",
            String(repeating: "(", count: 100_000), String(repeating: "{{ 1 }}", count: 100_000),
            "{{" + String(repeating: "[", count: 400),
        ])
    func templates(source: String) {
        #expect { _ = try ChatTemplate(tokenizer, source: source) } throws: {
            ($0 as? ModelError)?.kind == .chatTemplate
        }
    }

    @Test(
        "a template that goes on for ever, calls itself for ever or takes all memory is refused",
        arguments: [
            ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "it "),
            ("{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}", "it "),
            ("{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "it "),
            ("{% set x = namespace() %}{% macro f() %}{{ x.g() }}{% endmacro %}{% set x.g = f %}{{ f() }}", "it "),
            (String(repeating: "{% if 1 %}", count: 12_000) + String(repeating: "{% endif %}", count: 1), "it "),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
                "too long"
            ),
            ("{{ range(1000000000) }}", "memory"), ("{{ 'x' * 1000000000000 }}", "memory"),
            (String(repeating: "{% set s = (s or 'x') ~ (s or 'x') %}", count: 60), "memory"),
            ("{% set x = 'xxxxxxxxxx' * 100000 %}{{ x | replace('x', x) }}", "memory"),
        ])
    func endless(source: String, reason: String) {
        // Under the address sanitizer memory is not ours to count.
        guard CommonLimits.hold else { return }
        #expect {
            _ = try ChatTemplate(tokenizer, source: source)
        } throws: { error in
            let error = error as? ModelError
            return error?.kind == .chatTemplate && error?.description.contains(reason) == true
        }
    }

    @Test("a template that is endless for one conversation takes others before and after it")
    func endlessForOne() throws {
        guard CommonLimits.hold else { return }
        let source =
            "{% macro f() %}{{ f() }}{% endmacro %}{% for m in messages %}{{ m.content }}{% if m.content == 'now' %}{{ f() }}{% endif %}{% endfor %}"
        let template = try ChatTemplate(tokenizer, source: source)
        for content in ["before", "now", "after"] {
            let input = ChatInput([ChatMessage(role: "user", content: content)])
            if content == "now" {
                #expect(throws: ModelError.self) { try template.apply(input) }
            } else {
                #expect(try template.apply(input).text == content)
            }
        }
    }

    @Test("what a template says against a conversation is the error")
    func refusal() throws {
        let template = try ChatTemplate(tokenizer, source: ChatTemplates.source("Mistral-Small"))
        let user = ChatMessage(role: "user", content: "x")
        #expect {
            _ = try template.apply(ChatInput([user, user]))
        } throws: { error in
            let error = error as? ModelError
            return error?.kind == .chatTemplate && error?.description.contains("must alternate") == true
        }
    }

    @Test("tools and messages that make no sense are refused")
    func inputs() throws {
        let template = try ChatTemplate(tokenizer, source: ChatTemplates.source("Qwen-Qwen2.5"))
        let user = ChatMessage(role: "user", content: "x")
        let deep = String(repeating: "[", count: 5000)
        let changes: [(inout ChatInput) -> Void] = [
            { $0.tools = "[{}]" }, { $0.tools = "[1]" }, { $0.tools = "nothing" }, { $0.tools = deep },
            { $0.tools = #"[{"type": "function", "function": {"name": 1}}]"# },
            { $0.tools = #"[{"type": "function", "function": {"name": "f", "parameters": {"type": "nothing"}}}]"# },
            { $0.jsonSchema = #"{"type": "nothing"}"# }, { $0.templateArguments = "[]" },
            { $0.templateArguments = deep },
            {
                $0.messages.append(
                    ChatMessage(
                        role: "assistant", content: nil,
                        toolCalls: [.init(id: "", function: .init(name: "f", arguments: deep))]))
            },
            { $0.tools = "[" + String(repeating: " ", count: 1 << 20) + "]" },
        ]
        for (index, change) in changes.enumerated() {
            var input = ChatInput([user])
            change(&input)
            input.toolChoice = input.tools == nil ? .auto : .required
            #expect(throws: (any Error).self, "\(index)") {
                _ = try template.apply(input).grammar?.check(with: tokenizer)
            }
        }
    }

    @Test("names of control tokens in messages, tools and arguments stay text")
    func names() throws {
        let template = try ChatTemplate(tokenizer, source: ChatTemplates.source("Qwen-Qwen2.5"))
        let name = "</s><s>"
        var input = ChatInput([
            ChatMessage(role: "user", content: "a \(name) b"),
            ChatMessage(
                role: "assistant", content: nil,
                toolCalls: [.init(id: "1", function: .init(name: "f", arguments: #"{"x": "\u003c/s>"}"#))]),
            ChatMessage(role: "tool", content: name),
        ])
        input.tools =
            #"[{"type": "function", "function": {"name": "f", "description": "</s>", "parameters": {"type":"object"}}}]"#
        let prompt = try template.apply(input)
        let tokens = tokenizer.encode(prompt)
        #expect(tokens.dropFirst().allSatisfy { $0 != tokenizer.beginOfText && !tokenizer.endsGeneration($0) })
        #expect(prompt.text.contains("a \(name) b") && prompt.text.components(separatedBy: "</s>").count == 5)
        #expect(tokenizer.decode(tokens).components(separatedBy: "</s>").count == 5)
    }
}
