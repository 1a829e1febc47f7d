internal import CLlamaCommon
internal import Foundation
internal import Synchronization

/// Takes an answer apart while it is written: what is said, what the model thought before, and the calls that it asks for.
///
/// What ``append(_:)`` and ``finish(isCut:)`` return adds up to ``message``. An answer that is not in the form that its model was
/// asked for is content as it is.
public final class ChatParser: Sendable {
    /// What a piece of text adds to the message.
    public enum Delta: Sendable, Hashable {
        /// More of what is said.
        case content(String)
        /// More of what the model thinks.
        case reasoning(String)
        /// A call begins; the number is that of the call.
        case call(Int, id: String, name: String)
        /// More of a call's arguments.
        case arguments(Int, String)
    }

    private final class Handle: @unchecked Sendable {
        // Sound to send: the state's lock is held.
        let pointer: OpaquePointer

        init(_ pointer: OpaquePointer) { self.pointer = pointer }

        deinit { llama_common_chat_parser_destroy(pointer) }
    }

    private struct State {
        let handle: Handle
        var message = ChatMessage(role: "assistant", content: nil)
    }

    private let state: Mutex<State>
    /// Bytes that it took at its beginning; it grows by at most ``CommonLimits/growth``, with the text that it reads.
    package let bytes: Int

    /// - Parameter parser: what a template says of its answers.
    init(_ parser: String) throws {
        let handle = try LargeStack.run {
            var reason: UnsafeMutablePointer<CChar>?
            guard let pointer = llama_common_chat_parser_create(parser, &reason) else {
                throw ModelError(.chatTemplate, "answers cannot be taken apart: \(Grammar.text(reason))")
            }
            return Handle(pointer)
        }
        bytes = llama_common_chat_parser_bytes(handle.pointer) + parser.utf8.count
        state = Mutex(State(handle: handle))
    }

    /// Everything so far.
    public var message: ChatMessage { state.withLock { $0.message } }

    /// Adds text to the answer.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if memory is short.
    public func append(_ text: String) throws -> [Delta] {
        guard !text.isEmpty else { return [] }
        return try add(text, LLAMA_COMMON_CHAT_MORE)
    }

    /// Ends the answer.
    ///
    /// - Parameter isCut: whether it was cut off, so that it may end anywhere.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if memory is short.
    public func finish(isCut: Bool) throws -> [Delta] {
        try add("", isCut ? LLAMA_COMMON_CHAT_CUT : LLAMA_COMMON_CHAT_END)
    }

    /// What the C library says is new.
    fileprivate struct Added: Decodable {
        let content: String?
        let reasoning: String?
        let call: Int?
        let id: String?
        let name: String?
        let arguments: String?
    }

    private func add(_ text: String, _ progress: llama_common_chat_progress) throws -> [Delta] {
        try state.withLock { state in
            var text = text
            var reason: UnsafeMutablePointer<CChar>?
            let json = text.withUTF8 { bytes in
                llama_common_chat_parser_add(
                    state.handle.pointer, bytes.baseAddress, bytes.count, progress, &reason)
            }
            guard let json else {
                throw ModelError(.chatTemplate, "the answer cannot be taken apart: \(Grammar.text(reason))")
            }
            defer { llama_common_free(json) }
            let added = try JSONDecoder().decode([Added].self, from: Data(String(cString: json).utf8))
            return added.flatMap { state.message.add($0) }
        }
    }
}

extension ChatMessage {
    /// Adds what is new.
    fileprivate mutating func add(_ added: ChatParser.Added) -> [ChatParser.Delta] {
        if let text = added.content {
            content = (content ?? "") + text
            return [.content(text)]
        }
        if let text = added.reasoning {
            reasoningContent = (reasoningContent ?? "") + text
            return [.reasoning(text)]
        }
        guard let call = added.call, let arguments = added.arguments else { return [] }
        var deltas: [ChatParser.Delta] = []
        if let name = added.name {
            let id = added.id.flatMap { $0.isEmpty ? nil : $0 } ?? ToolCall.newID()
            toolCalls = (toolCalls ?? []) + [ToolCall(id: id, function: .init(name: name, arguments: ""))]
            deltas.append(.call(call, id: id, name: name))
        }
        guard !arguments.isEmpty else { return deltas }
        toolCalls?[call].function.arguments += arguments
        return deltas + [.arguments(call, arguments)]
    }
}

extension ChatMessage.ToolCall {
    /// An identifier of nine letters and digits: Mistral's templates take no other length.
    fileprivate static func newID() -> String {
        let characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        return String((0..<9).compactMap { _ in characters.randomElement() })
    }
}
