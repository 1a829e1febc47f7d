extension Tokenizer {
    /// A conversation by the model's own template, cut at marks that stand in its messages: what comes before each mark,
    /// and what comes after the last.
    ///
    /// - Parameters:
    ///   - addAssistant: whether the text ends where the assistant's answer begins.
    ///   - marks: texts in the order in which the messages hold them; of several occurrences of a mark the first
    ///     after the mark before counts.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the template cannot be applied to these messages, or leaves out,
    ///   repeats or changes what they say.
    package func chatParts(
        _ messages: [Message], addAssistant: Bool = true, around marks: String...
    ) throws -> [String] {
        let text = try applyChatTemplate(messages, addAssistant: addAssistant)
        var rest = text[...]
        var parts: [String] = []
        for mark in marks {
            let count = messages.reduce(0) { $0 + $1.content.ranges(of: mark).count }
            guard let range = rest.firstRange(of: mark), text.ranges(of: mark).count == count else {
                throw ModelError(.chatTemplate, "the model's chat template does not keep a message as it is")
            }
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
