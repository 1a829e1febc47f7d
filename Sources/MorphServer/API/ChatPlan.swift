#if Server
internal import HTTPTypes
internal import MorphKV
internal import NIOCore

/// What a chat request becomes: a prompt, and what its answers are like.
struct ChatPlan: Sendable {
    let conversation: [Tokenizer.Message]
    /// The same as an interpreted template takes it; nil where texts are all that matters.
    let input: ChatInput?
    /// By that template.
    let prompt: ChatPrompt?
    let tokens: [Token]
    let grammar: Grammar?
    /// Texts that end an answer, besides those of the request.
    let stops: [String]
    /// Control tokens that are part of an answer's text.
    let preservedTokens: Set<Token>

    /// - Parameter body: the request as it came, since the order of a schema's members matters.
    /// - Throws: ``APIError`` naming the field that makes no sense, `ModelError` when the template refuses the conversation.
    init(
        _ wanted: ChatRequest, _ body: ByteBuffer, _ format: ChatFormat, _ tokenizer: Tokenizer,
        _ configuration: ServerConfiguration
    ) throws {
        let isBehindContext = wanted.fields.morphkv?.context != nil
        conversation = try wanted.conversation()
        try Self.check(wanted, format, isBehindContext: isBehindContext)
        var grammar = try wanted.shape.grammar(in: body, tokenizer)
        guard let template = format.template, try Self.needs(template, wanted, configuration) else {
            (input, prompt, preservedTokens) = (nil, nil, [])
            tokens =
                try isBehindContext ? format.tokensBehindContext(conversation) : format.tokens(conversation)
            stops = format.stops
            self.grammar = grammar
            return
        }
        var input = try wanted.input(
            conversation, in: body, usual: configuration.reasoningFormat, thinks: configuration.thinks)
        let mayCall = input.tools != nil && input.toolChoice != .none
        if mayCall, let field = wanted.shape.field {
            throw APIError.invalid("'tools' and '\(field)' do not go together", param: field)
        }
        // What is thought comes before the form that is wanted, so the template's grammar has to know of it.
        let thinks = template.reasons && input.enableThinking && !input.continuesLastMessage
        if thinks { input.jsonSchema = try wanted.shape.jsonSchema(in: body) }
        let prompt = try Self.prompt(input, format, tokenizer, isBehindContext: isBehindContext)
        if mayCall || input.jsonSchema != nil { grammar = prompt.grammar ?? grammar }
        guard grammar != nil || input.toolChoice != .required else {
            throw APIError.invalid("calls by the model's chat template cannot be demanded", param: "tool_choice")
        }
        tokens = format.tokens(of: prompt, isBehindContext: isBehindContext)
        stops = prompt.stops
        preservedTokens = tokenizer.preservedTokens(of: prompt)
        self.grammar = grammar
        self.prompt = prompt
        self.input = input
    }

    private static func check(_ wanted: ChatRequest, _ format: ChatFormat, isBehindContext: Bool) throws {
        let hasCalls = wanted.messages.contains { $0.role == "tool" || !($0.toolCalls ?? []).isEmpty }
        let field = wanted.toolFields.hasTools ? "tools" : "messages"
        if format.template == nil, wanted.toolFields.hasTools || hasCalls {
            guard ChatTemplate.isAvailable else { throw APIError.noTemplates(param: field) }
            throw APIError.invalid(
                "tools need a chat template, and the model has none: the server takes one with --chat-template",
                param: field, code: "unsupported")
        }
        guard isBehindContext else { return }
        guard wanted.messages[0].role == "user" else {
            throw APIError.invalid(
                "behind a context, which has its own beginning, the first message is the user's",
                param: "messages[0].role")
        }
        guard !wanted.toolFields.hasTools else {
            throw APIError.invalid("tools and contexts do not go together: both are the beginning", param: "tools")
        }
    }

    /// Whether a request is about more than texts.
    private static func needs(
        _ template: ChatTemplate, _ wanted: ChatRequest, _ configuration: ServerConfiguration
    ) throws -> Bool {
        let fields = wanted.toolFields
        let isAsked =
            fields.hasTools || fields.chatTemplateKwargs != nil || fields.reasoningEffort != nil
            || fields.addGenerationPrompt == false || template.reasons && !configuration.thinks
        let reasons = try template.reasons && fields.reasoning(usual: configuration.reasoningFormat) != .none
        let hasMore = wanted.messages.contains {
            $0.role == "tool" || !($0.toolCalls ?? []).isEmpty || $0.reasoningContent != nil
        }
        return try isAsked || reasons || hasMore || wanted.continuesLastMessage()
    }

    private static func prompt(
        _ input: ChatInput, _ format: ChatFormat, _ tokenizer: Tokenizer, isBehindContext: Bool
    ) throws -> ChatPrompt {
        do {
            let prompt = try format.prompt(input, isBehindContext: isBehindContext)
            try prompt.grammar?.check(with: tokenizer)
            return prompt
        } catch let error as GenerationError where error.kind == .grammar {
            throw APIError.invalid(error.description, param: input.tools == nil ? "response_format" : "tools")
        }
    }
}
#endif
