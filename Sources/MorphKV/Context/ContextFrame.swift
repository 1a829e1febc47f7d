extension Tokenizer {
    /// The model's chat format around a context and its questions.
    ///
    /// The context is the beginning of a message of the user; every question is the end of it.
    ///
    /// - Parameter system: the system message; none if nil.
    /// - Throws: ``ModelError`` of kind `chatTemplate` if the file has no template, or libllama does not know it, or it
    ///   changes what it frames.
    public func contextFrame(system: String? = nil) throws -> ContextFrame {
        let (context, question) = ("<<context>>", "<<question>>")
        let messages =
            (system.map { [Message(role: "system", content: $0)] } ?? [])
            + [Message(role: "user", content: "\(context)\n\n\(question)")]
        let parts = try chatParts(messages, around: context, question)
        return ContextFrame(before: parts[0], between: parts[1], after: parts[2])
    }
}

/// What stands around a context and a question.
public struct ContextFrame: Sendable, Hashable {
    /// Before the context; never cut.
    public let before: String
    /// Between context and question.
    public let between: String
    /// Behind the question, where the answer begins.
    public let after: String

    /// A question as the model is to read it behind the context.
    public func framed(_ question: String) -> String { between + question + after }
}
