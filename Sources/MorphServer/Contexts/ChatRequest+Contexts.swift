#if Server
internal import MorphKV

extension ChatRequest {
    /// The same behind the context that its first message begins with, if there is one and the request names none: the text
    /// and the system message before it are the context's then.
    ///
    /// - Parameter format: how the model reads chats.
    func behindContext(of scheduler: Scheduler, _ format: ChatFormat) throws -> ChatRequest {
        let extensions = fields.morphkv
        guard extensions?.context == nil, extensions?.findsContext != false, !toolFields.hasTools,
            messages.allSatisfy({ ($0.toolCalls ?? []).isEmpty })
        else { return self }
        let texts = try conversation()
        let first = texts.first?.role == "system" ? 1 : 0
        guard texts.indices.contains(first), texts[first].role == "user" else { return self }
        let found = scheduler.context(in: texts[first].content) {
            try? format.tokensBeforeContext(system: first == 1 ? texts[0].content : nil)
        }
        guard let found else { return self }
        var changed = self
        changed.messages = Array(messages[first...])
        changed.messages[0].content = .text(found.rest)
        changed.fields.morphkv = extensions ?? GenerationFields.Extension()
        changed.fields.morphkv?.context = found.name
        return changed
    }
}
#endif
