internal import Foundation

/// A conversation as a chat template puts it, and what the answer to it is like.
public struct ChatPrompt: Sendable {
    /// What the C library says.
    private struct Applied: Decodable {
        let parts: [String]
        let grammar: String?
        let preserved: [String]?
        let stops: [String]?
        let parser: String?
    }

    /// What it says of the grammar.
    private struct Use: Codable {
        let lazy: Bool
        let opening: String
        let begin: String
        let words: [String]
        let patterns: [String]
        let thinking_start: String
        let thinking_ends: [String]
    }

    /// Texts that are the prompt together; the second and every other of them are spelled like control tokens and are none.
    private(set) var parts: [String]
    /// What the answer must look like; nil if anything goes.
    public let grammar: Grammar?
    /// Texts that end an answer, besides the model's own end.
    public let stops: [String]
    /// Names of control tokens that are part of an answer's text.
    public let preservedNames: [String]
    /// How the answer is taken apart; nil if it is the text as it is.
    private let parser: String?

    init(json: String) throws {
        let data = Data(json.utf8)
        let applied = try JSONDecoder().decode(Applied.self, from: data)
        parts = applied.parts
        stops = applied.stops ?? []
        preservedNames = applied.preserved ?? []
        parser = applied.parser
        guard let rules = applied.grammar, !rules.isEmpty else {
            grammar = nil
            return
        }
        let use = try JSONEncoder().encode(JSONDecoder().decode(Use.self, from: data))
        grammar = try Grammar(gbnf: rules, use: String(decoding: use, as: UTF8.self))
    }

    /// The prompt.
    public var text: String { parts.joined() }

    /// What comes after the first occurrence of a mark.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if it is not there.
    func after(_ mark: String) throws -> ChatPrompt {
        for index in stride(from: 0, to: parts.count, by: 2) {
            guard let range = parts[index].firstRange(of: mark) else { continue }
            var rest = self
            rest.parts = [String(parts[index][range.upperBound...])] + parts[(index + 1)...]
            return rest
        }
        throw ModelError(.chatTemplate, "the model's chat template does not keep a message as it is")
    }

    /// What comes before the first occurrence of a mark.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if it is not there.
    func before(_ mark: String) throws -> ChatPrompt {
        for index in stride(from: 0, to: parts.count, by: 2) {
            guard let range = parts[index].firstRange(of: mark) else { continue }
            var beginning = self
            beginning.parts = parts[..<index] + [String(parts[index][..<range.lowerBound])]
            return beginning
        }
        throw ModelError(.chatTemplate, "the model's chat template does not keep a message as it is")
    }

    /// What takes an answer apart; nil if it is the text as it is.
    ///
    /// - Throws: ``ModelError`` of kind `chatTemplate` if it cannot be made.
    public func makeParser() throws -> ChatParser? { try parser.map(ChatParser.init) }
}

extension Tokenizer {
    /// The tokens of a conversation.
    ///
    /// - Parameters:
    ///   - prompt: the conversation.
    ///   - addSpecial: whether to add what the model expects around a text, such as BOS.
    public func encode(_ prompt: ChatPrompt, addSpecial: Bool = true) -> [Token] {
        prompt.parts.enumerated().flatMap { index, part in
            encode(part, addSpecial: addSpecial && index == 0, parseSpecial: index % 2 == 0)
        }
    }

    /// The control tokens that are part of an answer's text.
    public func preservedTokens(of prompt: ChatPrompt) -> Set<Token> {
        Set(
            prompt.preservedNames.compactMap { name in
                let tokens = encode(name, addSpecial: false, parseSpecial: true)
                // SentencePiece may put a space before the name.
                return tokens.last.flatMap { decode([$0], special: true) == name ? $0 : nil }
            })
    }
}
