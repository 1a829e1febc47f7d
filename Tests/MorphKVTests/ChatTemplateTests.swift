import CLlama
import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// Chat templates of well-known models, with tools and without.
@Suite(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there")) struct ChatTemplateTests {
    static let tokenizer: Tokenizer = {
        guard let tokenizer = try? Tokenizer(contentsOf: Fixtures.stories) else {
            preconditionFailure("a fixture has a tokenizer")
        }
        return tokenizer
    }()

    static let tools = #"""
        [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a town.", "parameters":
          {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}},
         {"type": "function", "function": {"name": "get_time", "description": "The time.", "parameters":
          {"type": "object", "properties": {}}}}]
        """#

    static let question = [
        ChatMessage(role: "system", content: "You are brief."),
        ChatMessage(role: "user", content: "How is it in Bonn?"),
    ]

    /// What the assistant writes for a call, as the template itself writes it.
    static let call = ChatMessage(
        role: "assistant", content: nil,
        toolCalls: [
            .init(
                id: "abcDEF123",
                function: .init(name: "get_weather", arguments: #"{"city": "Bonn, \"there\"", "days": 3}"#))
        ])

    static func template(_ file: URL) throws -> ChatTemplate {
        try ChatTemplate(tokenizer, source: String(contentsOf: file, encoding: .utf8))
    }

    static func input(_ messages: [ChatMessage], _ change: (inout ChatInput) -> Void = { _ in }) -> ChatInput {
        var input = ChatInput(messages)
        input.tools = tools
        input.reasoningFormat = .auto
        change(&input)
        return input
    }

    @Test("a conversation is there, and tools only if there are some", arguments: ChatTemplates.files)
    func prompts(file: URL) throws {
        let template = try Self.template(file)
        let plain = try template.apply(ChatInput(Self.question))
        let withTools = try template.apply(Self.input(Self.question))
        for prompt in [plain, withTools] {
            #expect(prompt.text.contains("You are brief.") && prompt.text.contains("How is it in Bonn?"))
        }
        #expect(!plain.text.contains("get_weather") && plain.grammar == nil)
        #expect(withTools.text.contains("get_weather") && withTools.text.contains("get_time"))
        var text = ChatInput(Self.question)
        text.isTextOnly = true
        #expect(try template.apply(text).text == plain.text)
        #expect(try withTools.makeParser() != nil)
        let forced = try template.apply(Self.input(Self.question) { $0.toolChoice = .required })
        #expect(forced.grammar != nil)
        try forced.grammar?.check(with: Self.tokenizer)
        try withTools.grammar?.check(with: Self.tokenizer)
        let result = ChatMessage(role: "tool", content: "Rain!", toolCallID: "abcDEF123")
        let results = Self.question + [Self.call, result]
        #expect(try template.apply(Self.input(results)).text.contains("Rain!"))
    }

    @Test(
        "prompts are libllama's where it knows the template and that has no date",
        arguments: ["microsoft-phi-4", "Qwen-Qwen2.5", "Qwen-Qwen3"])
    func known(name: String) throws {
        let source = try ChatTemplates.source(name)
        var file = RawGguf(parsing: Array(try Data(contentsOf: Fixtures.stories)))
        file["tokenizer.chat_template"] = .text(source)
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "model.gguf")
        try Data(file.bytes).write(to: url)
        let tokenizer = try Tokenizer(contentsOf: url)
        #expect(tokenizer.jinjaTemplate?.source == source)
        let messages = Self.question.map { Tokenizer.Message(role: $0.role, content: $0.content ?? "") }
        let contents = messages.flatMap { [strdup($0.role), strdup($0.content)] }
        defer { contents.forEach { free($0) } }
        let chat = stride(from: 0, to: contents.count, by: 2).map {
            llama_chat_message(role: contents[$0], content: contents[$0 + 1])
        }
        var room = [CChar](repeating: 0, count: 1000)
        let count = llama_chat_apply_template(source, chat, chat.count, true, &room, Int32(room.count))
        let expected = String(decoding: room.prefix(Int(max(count, 0))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(try tokenizer.applyChatTemplate(messages) == expected && !expected.isEmpty)
        let tokens = try ChatFormat(tokenizer).tokens(messages)
        #expect(tokens == tokenizer.encode(expected, parseSpecial: true))
        // The system message is where the template puts it, alone.
        let range = try ChatFormat(tokenizer).range(of: 0..<1, in: tokens, of: messages)
        #expect(tokenizer.decode(Array(tokens[range]), special: true).contains("You are brief."))
        #expect(!tokenizer.decode(Array(tokens[range]), special: true).contains("Bonn"))
    }

    @Test(
        "what a template writes for a call is read as that call, at once and byte by byte",
        arguments: ChatTemplates.files)
    func calls(file: URL) throws {
        let template = try Self.template(file)
        let prompt = try template.apply(Self.input(Self.question))
        let answer = try Self.written(Self.call, template)
        let whole = try Self.parsed([answer], prompt)
        let calls = try #require(whole.message.toolCalls, "\(answer)")
        #expect(calls.map(\.function.name) == ["get_weather"])
        let said = whole.message.content ?? ""
        #expect(said.allSatisfy { $0.isWhitespace })
        let text = Data(calls[0].function.arguments.utf8)
        let arguments = try JSONSerialization.jsonObject(with: text) as? [String: Any]
        #expect(arguments?["city"] as? String == "Bonn, \"there\"" && arguments?["days"] as? Int == 3)
        let pieces = try Self.parsed(answer.map(String.init), prompt)
        #expect(pieces.message.toolCalls?.map(\.function) == calls.map(\.function))
        #expect(pieces.message.content == whole.message.content)
        #expect(Self.joined(pieces.deltas) == pieces.message)
    }

    @Test("a text is a text, at once and byte by byte, with tools and without", arguments: ChatTemplates.files)
    func texts(file: URL) throws {
        let template = try Self.template(file)
        for text in ["It rains.", "Brackets {a, [b]} and <tags> 🙂\n\n- one\n"] {
            let prompt = try template.apply(Self.input(Self.question))
            let whole = try Self.parsed([text], prompt)
            let pieces = try Self.parsed(text.map(String.init), prompt)
            #expect(whole.message.content == text && pieces.message == whole.message, "\(whole.message)")
            #expect(Self.joined(pieces.deltas) == pieces.message)
        }
    }

    @Test("what is thought is kept apart if that is wanted")
    func reasoning() throws {
        let template = try ChatTemplate(Self.tokenizer, source: ChatTemplates.source("Qwen-Qwen3"))
        #expect(template.reasons)
        let text = "<think>\nIt may rain.\n</think>\n\nTake a coat."
        for pieces in [[text], text.map(String.init)] {
            let prompt = try template.apply(Self.input(Self.question) { $0.tools = nil })
            let apart = try Self.parsed(pieces, prompt).message
            let thought = apart.reasoningContent?.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(thought == "It may rain." && apart.content == "Take a coat.", "\(apart)")
            let inside = try template.apply(Self.input(Self.question) { $0.reasoningFormat = .none })
            #expect(try Self.parsed(pieces, inside).message.content?.contains("It may rain.") == true)
        }
        let silent = try template.apply(Self.input(Self.question) { $0.enableThinking = false })
        #expect(silent.text.hasSuffix("<think>\n\n</think>\n\n"))
        let told = try template.apply(
            Self.input(Self.question) { $0.templateArguments = #"{"enable_thinking": false}"# })
        #expect(told.text == silent.text)
    }

    @Test("several calls are read if they are allowed")
    func severalCalls() throws {
        let template = try ChatTemplate(Self.tokenizer, source: ChatTemplates.source("Qwen-Qwen2.5"))
        let text = #"""
            <tool_call>
            {"name": "get_weather", "arguments": {"city": "Bonn"}}
            </tool_call>
            <tool_call>
            {"name": "get_time", "arguments": {}}
            </tool_call>
            """#
        let prompt = try template.apply(Self.input(Self.question) { $0.parallelToolCalls = true })
        for pieces in [[text], text.map(String.init)] {
            let calls = try #require(try Self.parsed(pieces, prompt).message.toolCalls)
            #expect(calls.map(\.function.name) == ["get_weather", "get_time"])
            #expect(Set(calls.map(\.id)).count == 2 && calls.allSatisfy { $0.id.count == 9 })
        }
    }

    @Test("an answer that is in no form is content as it is")
    func brokenAnswers() throws {
        let llama = try ChatTemplate(Self.tokenizer, source: ChatTemplates.source("meta-llama-Llama-3.1"))
        let qwen = try ChatTemplate(Self.tokenizer, source: ChatTemplates.source("Qwen-Qwen2.5"))
        for (template, text) in [
            (llama, "Use {braces} so"), (llama, "{\"name\": \"nothing\", \"parameters\": {}}"),
            (qwen, "<tool_call>\nnothing"), (qwen, String(repeating: "[{", count: 5000)),
        ] {
            let prompt = try template.apply(Self.input(Self.question))
            for pieces in [[text], text.map(String.init)] {
                #expect(try Self.parsed(pieces, prompt).message.content == text, "\(text.prefix(40))")
            }
        }
        // What is nested as deep as nobody means it does not end the process.
        let call = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
        _ = try Self.parsed([call + String(repeating: "[", count: 100_000)], qwen.apply(Self.input(Self.question)))
    }

    // MARK: Helpers

    /// What the assistant writes where its answer begins.
    static func written(_ message: ChatMessage, _ template: ChatTemplate) throws -> String {
        // Some put the system message and the tools where the last message of the user is.
        let asked = [ChatMessage(role: "user", content: "How is it in Bonn?")]
        let before = try template.apply(input(asked) { $0.enableThinking = false }).text
        let after = try template.apply(
            input(asked + [message]) {
                $0.addsGenerationPrompt = false
                $0.enableThinking = false
            }
        ).text
        let common = zip(before, after).prefix { $0 == $1 }.count
        var text = after.dropFirst(common)
        for end in ["<|eot_id|>", "<|im_end|>\n", "<|im_end|>", "</s>", "<end_of_turn>\n"] where text.hasSuffix(end) {
            text = text.dropLast(end.count)
        }
        // Some write their thoughts, none, before a call of the past.
        return String(text.trimmingPrefix("<think>\n\n</think>\n\n"))
    }

    /// An answer in pieces.
    static func parsed(
        _ pieces: [String], _ prompt: ChatPrompt
    ) throws -> (message: ChatMessage, deltas: [ChatParser.Delta]) {
        let parser = try #require(try prompt.makeParser())
        var deltas: [ChatParser.Delta] = []
        for piece in pieces { deltas += try parser.append(piece) }
        deltas += try parser.finish(isCut: false)
        return (parser.message, deltas)
    }

    /// The message that deltas add up to.
    static func joined(_ deltas: [ChatParser.Delta]) -> ChatMessage {
        deltas.reduce(into: ChatMessage(role: "assistant", content: nil)) { message, delta in
            switch delta {
            case .content(let text): message.content = (message.content ?? "") + text
            case .reasoning(let text): message.reasoningContent = (message.reasoningContent ?? "") + text
            case .call(let index, let id, let name):
                #expect(index == message.toolCalls?.count ?? 0)
                let call = ChatMessage.ToolCall(id: id, function: .init(name: name, arguments: ""))
                message.toolCalls = (message.toolCalls ?? []) + [call]
            case .arguments(let index, let text): message.toolCalls?[index].function.arguments += text
            }
        }
    }
}
