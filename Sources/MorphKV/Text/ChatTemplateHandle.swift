internal import CLlama
internal import CLlamaCommon
internal import Foundation

/// The C face of a chat template; one thread at a time.
final class ChatTemplateHandle: @unchecked Sendable {
    // Sound to send: whoever uses it holds a lock.
    private let pointer: OpaquePointer
    /// Keeps the vocabulary, which the template looks into.
    private let file: VocabularyFile

    init(_ file: VocabularyFile, _ source: String?) throws {
        var reason: UnsafeMutablePointer<CChar>?
        let model = UnsafeRawPointer(file.model)
        let pointer =
            source.map { llama_common_chat_template_create(model, $0, &reason) }
            ?? llama_common_chat_template_create(model, nil, &reason)
        guard let pointer else { throw Self.error("the chat template makes no sense", reason) }
        self.pointer = pointer
        self.file = file
    }

    deinit { llama_common_chat_template_destroy(pointer) }

    func description() throws -> ChatTemplate.Description {
        var reason: UnsafeMutablePointer<CChar>?
        guard let text = llama_common_chat_template_description(pointer, &reason) else {
            throw Self.error("the chat template makes no sense", reason)
        }
        defer { llama_common_free(text) }
        return try JSONDecoder().decode(ChatTemplate.Description.self, from: Data(String(cString: text).utf8))
    }

    /// The prompt as JSON.
    func apply(_ texts: ChatInputTexts) throws -> String {
        var reason: UnsafeMutablePointer<CChar>?
        let prompt = texts.withInput { llama_common_chat_template_apply(pointer, $0, &reason) }
        guard let prompt else {
            throw Self.error("the model's chat template cannot be applied to these messages", reason)
        }
        defer { llama_common_free(prompt) }
        return String(cString: prompt)
    }

    private static func error(_ what: String, _ reason: UnsafeMutablePointer<CChar>?) -> ModelError {
        ModelError(.chatTemplate, "\(what): \(Grammar.text(reason))")
    }
}

/// An input in the texts that the C library reads.
struct ChatInputTexts: Sendable {
    private let messages: String
    private let input: ChatInput

    init(_ input: ChatInput) throws {
        self.input = input
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        messages = String(decoding: try encoder.encode(input.messages), as: UTF8.self)
    }

    func withInput<Result>(_ body: (UnsafePointer<llama_common_chat_input>) -> Result) -> Result {
        let texts: [String?] = [
            messages, input.tools, input.toolChoice.rawValue, input.jsonSchema, input.templateArguments,
            input.reasoningFormat.rawValue,
        ]
        let copies = texts.map { $0.map { strdup($0) } ?? nil }
        defer { copies.forEach { free($0) } }
        let pointers = copies.map { UnsafePointer($0) }
        var given = llama_common_chat_input(
            messages: pointers[0], tools: pointers[1], tool_choice: pointers[2], json_schema: pointers[3],
            arguments: pointers[4], reasoning_format: pointers[5],
            parallel_tool_calls: input.parallelToolCalls.map { $0 ? 1 : 0 } ?? -1,
            enable_thinking: input.enableThinking, add_generation_prompt: input.addsGenerationPrompt,
            continue_final_message: input.continuesLastMessage, text_only: input.isTextOnly)
        return body(&given)
    }
}
