internal import CLlama
public import Foundation
internal import Ggml
internal import Synchronization

/// A token id.
public typealias Token = Int32

/// Turns text into token ids and back, with libllama's implementation of the file's tokenizer.
public final class Tokenizer: @unchecked Sendable {
    // Sound to share: libllama's vocabulary functions only read.
    private let file: VocabularyFile
    private let vocabulary: OpaquePointer
    private var model: OpaquePointer { file.model }
    private let ownTemplate = Mutex<ChatTemplate??>(nil)
    private let ownPieces = Mutex<VocabularyPieces?>(nil)

    /// Number of token ids.
    public let vocabularySize: Int

    /// Reads the tokenizer of a GGUF file, which may be a vocabulary without weights.
    ///
    /// - Throws: ``ModelError`` of kind `tokenizer` if the file has none or a broken one.
    public convenience init(contentsOf url: URL) throws {
        let file = try GgufFile(contentsOf: url)
        guard let size = try file.stringCount("tokenizer.ggml.tokens") else {
            throw ModelError(.tokenizer, "\(url.lastPathComponent) has no tokenizer")
        }
        try self.init(checked: file, vocabularySize: size)
    }

    /// The tokenizer of a model file; nil if the file says that it has none.
    convenience init?(_ file: GgufFile, vocabularySize: Int) throws {
        let kind = try file.string("tokenizer.ggml.model")
        guard let kind, kind != "no_vocab", kind != "none" else { return nil }
        try self.init(checked: file, vocabularySize: vocabularySize)
    }

    private init(checked source: GgufFile, vocabularySize: Int) throws {
        try TokenizerCheck(source).run(vocabularySize: vocabularySize)
        // libllama starts ggml's devices by itself, without asking whether they can run here.
        _ = try Device.cpu()
        var parameters = llama_model_default_params()
        parameters.vocab_only = true
        guard let model = llama_model_load_from_file(source.url.path, parameters) else {
            throw ModelError(.tokenizer, "libllama cannot read the tokenizer of \(source.name)")
        }
        self.file = VocabularyFile(model)
        vocabulary = llama_model_get_vocab(model)
        self.vocabularySize = Int(llama_vocab_n_tokens(vocabulary))
    }

    /// The texts of all tokens as grammars read them; nil if there are no grammars. Made at the first use.
    var pieces: VocabularyPieces? {
        ownPieces.withLock { pieces in
            if let pieces { return pieces }
            pieces = VocabularyPieces(file, vocabulary)
            return pieces
        }
    }

    // MARK: Encoding

    /// The token ids of a text.
    ///
    /// - Parameters:
    ///   - text: the text.
    ///   - addSpecial: whether to add what the model expects around a text, such as BOS.
    ///   - parseSpecial: whether names of special tokens in the text become those tokens; leave it off for text
    ///     that you did not write.
    public func encode(_ text: String, addSpecial: Bool = true, parseSpecial: Bool = false) -> [Token] {
        var text = text
        let addSpecial = addSpecial && canAddSpecial
        return text.withUTF8 { bytes in
            let pieces = isBytePair ? LongRuns.pieces(bytes) : [0..<bytes.count]
            guard pieces.count > 1 else { return encode(bytes, addSpecial, parseSpecial) }
            let tokens = pieces.flatMap { encode(UnsafeBufferPointer(rebasing: bytes[$0]), false, parseSpecial) }
            let first = addSpecial && llama_vocab_get_add_bos(vocabulary) ? [llama_vocab_bos(vocabulary)] : []
            let last = addSpecial && llama_vocab_get_add_eos(vocabulary) ? [llama_vocab_eos(vocabulary)] : []
            return first + tokens + last
        }
    }

    private var isBytePair: Bool { llama_vocab_type(vocabulary) == LLAMA_VOCAB_TYPE_BPE }

    private func encode(_ text: UnsafeBufferPointer<UInt8>, _ addSpecial: Bool, _ parseSpecial: Bool) -> [Token] {
        text.withMemoryRebound(to: CChar.self) { characters in
            func tokenize(_ room: inout UnsafeMutableBufferPointer<Token>) -> Int32 {
                llama_tokenize(
                    vocabulary, characters.baseAddress, Int32(characters.count), room.baseAddress, Int32(room.count),
                    addSpecial, parseSpecial)
            }
            var tokens = [Token](repeating: 0, count: characters.count + 2)
            var count = tokens.withUnsafeMutableBufferPointer(tokenize)
            if count < 0 {
                tokens = [Token](repeating: 0, count: Int(-count))
                count = tokens.withUnsafeMutableBufferPointer(tokenize)
            }
            return Array(tokens.prefix(Int(max(count, 0))))
        }
    }

    /// libllama aborts when it is to add a token that the vocabulary lacks.
    private var canAddSpecial: Bool {
        (!llama_vocab_get_add_bos(vocabulary) || beginOfText != nil)
            && (!llama_vocab_get_add_eos(vocabulary) || llama_vocab_eos(vocabulary) >= 0)
    }

    // MARK: Decoding

    /// The bytes of one token, which may be a part of a character only.
    ///
    /// - Parameters:
    ///   - token: its id.
    ///   - special: whether special tokens give their name or nothing.
    public func bytes(of token: Token, special: Bool = false) -> [UInt8] {
        guard contains(token) else { return [] }
        func write(_ room: inout [CChar]) -> Int32 {
            llama_token_to_piece(vocabulary, token, &room, Int32(room.count), 0, special)
        }
        var room = [CChar](repeating: 0, count: 64)
        var count = write(&room)
        if count < 0 {
            room = [CChar](repeating: 0, count: Int(-count))
            count = write(&room)
        }
        return room.prefix(Int(max(count, 0))).map { UInt8(bitPattern: $0) }
    }

    /// The text of token ids; bytes that are not UTF-8 become U+FFFD.
    public func decode(_ tokens: [Token], special: Bool = false) -> String {
        String(decoding: tokens.flatMap { bytes(of: $0, special: special) }, as: UTF8.self)
    }

    // MARK: Special tokens

    /// Whether an id is part of the vocabulary.
    public func contains(_ token: Token) -> Bool { token >= 0 && Int(token) < vocabularySize }

    /// Whether a token ends a generation (end of text, end of turn, ...).
    public func endsGeneration(_ token: Token) -> Bool { contains(token) && llama_vocab_is_eog(vocabulary, token) }

    /// The token that begins a text; nil if the vocabulary has none.
    public var beginOfText: Token? {
        let token = llama_vocab_bos(vocabulary)
        return token >= 0 ? token : nil
    }

    /// The token that ends a text; nil if there is none.
    public var endOfText: Token? {
        let token = llama_vocab_eos(vocabulary)
        return token >= 0 ? token : nil
    }

    // MARK: Chat

    /// One message of a conversation.
    public struct Message: Sendable, Hashable, Codable {
        /// Who speaks: "system", "user" or "assistant".
        public var role: String
        /// What is said.
        public var content: String

        /// Creates a message.
        public init(role: String, content: String) {
            self.role = role
            self.content = content
        }
    }

    /// The model's own chat template as it can be filled in with anything; nil if it has none that makes sense, or this copy of
    /// llama.cpp has no interpreter for it. Read at the first use.
    public var jinjaTemplate: ChatTemplate? {
        ownTemplate.withLock { template in
            if let known = template { return known }
            let read = try? ChatTemplate(self)
            template = .some(read)
            return read
        }
    }

    /// A chat template of this vocabulary.
    ///
    /// - Parameter source: the template; the file's own if nil.
    func openTemplate(_ source: String?) throws -> ChatTemplateHandle { try ChatTemplateHandle(file, source) }

    /// The prompt of a conversation by the model's own template, ending where the assistant's answer begins.
    ///
    /// Without ``jinjaTemplate`` libllama recognises the well-known templates. Templates of Llama 3 get the date that they have
    /// where nobody gives one, so that a prompt does not depend on the day.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the file has none, or libllama does not know it, or it refuses the
    ///   conversation.
    public func applyChatTemplate(_ messages: [Message], addAssistant: Bool = true) throws -> String {
        if let jinjaTemplate {
            var input = ChatInput(messages.map(ChatMessage.init))
            input.addsGenerationPrompt = addAssistant
            input.isTextOnly = true
            input.templateArguments = #"{"date_string": "26 Jul 2024"}"#
            return try jinjaTemplate.apply(input).text
        }
        return try applyKnownTemplate(messages, addAssistant: addAssistant)
    }

    /// The same by libllama alone, which interprets no template but knows many.
    private func applyKnownTemplate(_ messages: [Message], addAssistant: Bool) throws -> String {
        guard let template = llama_model_chat_template(model, nil) else {
            throw ModelError(.chatTemplate, "the model has no chat template; use it without --chat")
        }
        let roles = messages.map { strdup($0.role) }
        let contents = messages.map { strdup($0.content) }
        defer { (roles + contents).forEach { free($0) } }
        let chat = zip(roles, contents).map { llama_chat_message(role: $0, content: $1) }
        func apply(_ room: inout [CChar]) -> Int32 {
            llama_chat_apply_template(template, chat, chat.count, addAssistant, &room, Int32(room.count))
        }
        var room = [CChar](repeating: 0, count: 2 * messages.reduce(256) { $0 + $1.content.utf8.count + 64 })
        var count = apply(&room)
        guard count >= 0 else {
            throw ModelError(.chatTemplate, "libllama does not know the model's chat template")
        }
        if count > room.count {
            room = [CChar](repeating: 0, count: Int(count))
            count = apply(&room)
        }
        return String(decoding: room.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A model of which only the vocabulary was read.
final class VocabularyFile: @unchecked Sendable {
    // Sound to share: it is only read.
    let model: OpaquePointer

    init(_ model: OpaquePointer) { self.model = model }

    deinit { llama_model_free(model) }
}
