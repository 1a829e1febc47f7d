#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// `/v1/chat/completions` and `/v1/completions`, OpenAI's.
struct CompletionRoutes: Sendable {
    let scheduler: Scheduler
    let configuration: ServerConfiguration
    let tokenizer: Tokenizer
    let responder: Responder
    let chatFormat: ChatFormat
    let lengthNotice: LengthNotice
    let pinNotice: OneTimeWarning
    let reader: RequestReader
    let grammars: GrammarBudget

    // MARK: The two endpoints

    func chat(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await reader.understand(request, chatJob)
        guard !job.parsers.isEmpty else {
            let format = ChatAnswers(hasLogprobs: job.hasLogprobs)
            return try await answer(Job(job.fields, requests: job.requests, format: format), context)
        }
        let format = MessageAnswers(hasLogprobs: job.hasLogprobs, parsers: job.parsers)
        return try await answer(Job(job.fields, requests: job.requests, format: format), context)
    }

    /// What a chat's body asks for.
    @Sendable func chatJob(_ body: ByteBuffer) throws -> ChatJob {
        let asked = try chatRequest(body)
        let wanted = try asked.behindContext(of: scheduler, chatFormat)
        let chat = try ChatPlan(wanted, body, chatFormat, tokenizer, configuration)
        let topLogprobs = wanted.logprobs == true ? wanted.topLogprobs ?? 0 : nil
        var requests = try requests(wanted.fields, [chat.tokens], topLogprobs, chat.grammar, stops: chat.stops) {
            cache in
            try pins(wanted, chat, cache)
        }
        for index in requests.indices { requests[index].options.preservedTokens = chat.preservedTokens }
        let parsers = try requests.compactMap { _ in try chat.prompt?.makeParser() }
        try grammars.reserve(for: &requests, parsers, tokenizer)
        return ChatJob(
            fields: wanted.fields, requests: requests, hasLogprobs: topLogprobs != nil, parsers: parsers)
    }

    func completion(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await reader.understand(request) { body in
            let wanted = try Coding.decode(CompletionRequest.self, from: body)
            try wanted.validate(configuration)
            let prompts: [[Token]] =
                switch wanted.prompt {
                case .texts(let texts):
                    texts.map {
                        tokenizer.encode($0, addSpecial: wanted.fields.morphkv?.context == nil, parseSpecial: true)
                    }
                case .tokens(let tokens): tokens
                }
            let grammar = try wanted.shape.grammar(in: body, tokenizer)
            var requests = try requests(wanted.fields, prompts, wanted.logprobs, grammar, stops: [])
            try grammars.reserve(for: &requests, [], tokenizer)
            var format = TextAnswers(hasLogprobs: wanted.logprobs != nil)
            if wanted.echo == true {
                for index in requests.indices { requests[index].scoresPrompt = wanted.logprobs != nil }
                let echoes = zip(prompts.indices, prompts).map { wanted.prompt.echo($0, $1, tokenizer) }
                format.echoes = echoes.flatMap { Array(repeating: $0, count: wanted.fields.n ?? 1) }
            }
            return Job(wanted.fields, requests: requests, format: format)
        }
        return try await answer(job, context)
    }

    /// The pins of a chat; a system prompt that does not fit is pinned as far as it does.
    private func pins(
        _ wanted: ChatRequest, _ chat: ChatPlan, _ cache: CacheOptions?
    ) throws -> PromptPins {
        // What is too long is refused later, and not looked at in detail.
        guard chat.tokens.count <= scheduler.options.maxPromptTokens else { return .none }
        let options = cache ?? scheduler.options.cache
        let choice = try PinnedMessages(
            format: chatFormat, pinsSystem: configuration.pinsSystem && options.pins
        ).choose(
            wanted.messages, chat.conversation, chat.input, tokens: chat.tokens,
            room: scheduler.pinRoom(cache, after: wanted.fields.morphkv?.context),
            isBehindContext: wanted.fields.morphkv?.context != nil)
        if let cut = choice.cut {
            pinNotice.say(
                "a system prompt has \(cut.system) tokens, of which the first \(cut.pinned) are pinned: no more fit under the policy \(options.policy.specification)"
            )
        }
        return .ranges(choice.ranges)
    }

    /// A chat that makes sense by itself and is not too long for a template.
    private func chatRequest(_ body: ByteBuffer) throws -> ChatRequest {
        let most = configuration.maxTemplateBytes
        guard body.readableBytes <= most || chatFormat.template == nil else {
            throw APIError.invalid(
                "a chat of \(body.readableBytes) bytes: \(most) are possible here, and prompts of \(scheduler.options.maxPromptTokens) tokens",
                param: "messages", code: "context_length_exceeded")
        }
        let wanted = try Coding.decode(ChatRequest.self, from: body)
        try wanted.validate(configuration)
        return wanted
    }

    /// The prompt of a chat as a text, with the names of special tokens.
    func chatPrompt(_ body: ByteBuffer) throws -> String {
        let wanted = try chatRequest(body)
        guard chatFormat.template != nil else { return tokenizer.decode(try chatTokens(body), special: true) }
        let input = try wanted.input(
            try wanted.conversation(), in: body, usual: configuration.reasoningFormat, thinks: configuration.thinks)
        return try chatFormat.prompt(input, isBehindContext: false).text
    }

    /// The prompt of a chat.
    func chatTokens(_ body: ByteBuffer) throws -> [Token] {
        let wanted = try chatRequest(body)
        return try ChatPlan(wanted, body, chatFormat, tokenizer, configuration).tokens
    }

    /// A chat request that was understood.
    struct ChatJob: Sendable {
        let fields: GenerationFields
        let requests: [ServingRequest]
        let hasLogprobs: Bool
        /// One per answer, which is taken apart; none where answers are texts as they come.
        let parsers: [ChatParser]
    }

    /// A request that was understood.
    struct Job<Format: AnswerFormat>: Sendable {
        let fields: GenerationFields
        let requests: [ServingRequest]
        let format: Format

        init(_ fields: GenerationFields, requests: [ServingRequest], format: Format) {
            self.fields = fields
            self.requests = requests
            self.format = format
        }
    }

    private func answer(_ job: Job<some AnswerFormat>, _ context: ServerRequestContext) async throws -> Response {
        try await responder.respond(to: job.requests, isStreamed: job.fields.stream == true, context) { answers in
            AnswerWriter(
                answers: answers, format: job.format, model: configuration.modelName,
                choices: job.fields.n ?? 1, includesUsage: job.fields.streamOptions?.includeUsage == true,
                hasTimings: job.fields.timingsPerToken == true, seen: seenPrompt(of: job), onEnd: lengthNotice.check)
        }
    }

    private func seenPrompt(of job: Job<some AnswerFormat>) -> SeenPrompt? {
        guard configuration.isVerbose || job.fields.verbose == true, let request = job.requests.first else {
            return nil
        }
        return SeenPrompt(prompt: tokenizer.decode(request.prompt, special: true))
    }

    // MARK: What is asked of the scheduler

    private func requests(
        _ fields: GenerationFields, _ prompts: [[Token]], _ topLogprobs: Int?, _ grammar: Grammar?, stops: [String],
        pins: (CacheOptions?) throws -> PromptPins = { _ in .none }
    ) throws -> [ServingRequest] {
        guard !prompts.isEmpty, prompts.count <= configuration.maxChoices else {
            throw APIError.invalid("1 to \(configuration.maxChoices) prompts are possible", param: "prompt")
        }
        let cache = try PolicyChoice(configuration.policies, scheduler).cache(fields.morphkv)
        let pins = try pins(cache)
        return try prompts.flatMap { prompt in
            let most = scheduler.maxTokens(afterPrompt: prompt.count, cache: cache)
            let maxTokens = try fields.maxTokens(
                usual: min(most, configuration.defaultMaxTokens ?? most), most: most,
                room: scheduler.trainedRoom(afterPrompt: prompt.count, after: fields.morphkv?.context))
            return try (0..<(fields.n ?? 1)).map { index in
                var request = ServingRequest(
                    prompt: prompt, after: fields.morphkv?.context, pins: pins,
                    options: GenerationOptions(
                        maxTokens: maxTokens, sampling: try fields.sampling(index, configuration.sampling),
                        stop: (fields.stop?.all ?? []) + stops, grammar: grammar),
                    cache: cache, topLogprobs: topLogprobs,
                    viewInterval: fields.stream == true ? fields.morphkv?.view : nil)
                request.slot = fields.idSlot.flatMap { $0 < 0 ? nil : $0 }
                request.usesKeptCaches = fields.cachePrompt != false
                request.reportsProgress = fields.stream == true && fields.returnProgress == true
                return request
            }
        }
    }
}
#endif
