#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// `/v1/chat/completions` and `/v1/completions`.
struct CompletionRoutes: Sendable {
    let scheduler: Scheduler
    let configuration: ServerConfiguration
    let tokenizer: Tokenizer
    let connections: Connections
    let chatFormat: ChatFormat
    let lengthNotice: LengthNotice
    let pinNotice: OneTimeWarning
    let worker = Worker("morphkv.requests")
    let bodies: BodyBudget

    // MARK: The two endpoints

    func chat(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await understand(request) { body in
            let wanted = try Coding.decode(ChatRequest.self, from: body)
            try wanted.validate(configuration)
            let chat = try ChatPlan(wanted, body, chatFormat, tokenizer, configuration)
            let topLogprobs = wanted.logprobs == true ? wanted.topLogprobs ?? 0 : nil
            var requests = try requests(wanted.fields, [chat.tokens], topLogprobs, chat.grammar, stops: chat.stops) {
                cache in
                try pins(wanted, chat, cache)
            }
            for index in requests.indices { requests[index].options.preservedTokens = chat.preservedTokens }
            let parsers = try requests.compactMap { _ in try chat.prompt?.makeParser() }
            guard !parsers.isEmpty else {
                let format = ChatAnswers(hasLogprobs: topLogprobs != nil)
                return ChatJob.text(Job(wanted.fields, requests: requests, format: format))
            }
            let format = MessageAnswers(hasLogprobs: topLogprobs != nil, parsers: parsers)
            return .message(Job(wanted.fields, requests: requests, format: format))
        }
        switch job {
        case .text(let job): return try await answer(job, context)
        case .message(let job): return try await answer(job, context)
        }
    }

    func completion(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await understand(request) { body in
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
            return try Job(
                wanted.fields, requests: requests(wanted.fields, prompts, wanted.logprobs, grammar, stops: []),
                format: TextAnswers(hasLogprobs: wanted.logprobs != nil))
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

    /// A chat request that was understood.
    private enum ChatJob: Sendable {
        /// Answers are texts as they come.
        case text(Job<ChatAnswers>)
        /// Answers are taken apart.
        case message(Job<MessageAnswers>)
    }

    /// A request that was understood.
    private struct Job<Format: AnswerFormat>: Sendable {
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
        let answers = try scheduler.submit(job.requests)
        let watch = connections.watch(context.channel) { for answer in answers { answer.cancel() } }
        let writer = AnswerWriter(
            answers: answers, format: job.format, model: configuration.modelName,
            choices: job.fields.n ?? 1, includesUsage: job.fields.streamOptions?.includeUsage == true,
            onEnd: lengthNotice.check)
        guard job.fields.stream == true else {
            defer { connections.end(watch) }
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: try await writer.whole()))
        }
        do {
            // The status says whether the answer begins at all.
            let first = try await writer.first()
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8"],
                body: .init { output in
                    defer { connections.end(watch) }
                    try await writer.stream(from: first, to: &output)
                    try await output.finish(nil)
                })
        } catch {
            connections.end(watch)
            throw error
        }
    }

    // MARK: Reading requests

    /// Reads a body and turns it into something, while it counts as memory that bodies take.
    private func understand<Job: Sendable>(
        _ request: Request, _ decode: @escaping @Sendable (ByteBuffer) throws -> Job
    ) async throws -> Job {
        let limit = try limit(of: request)
        return try await bodies.run(limit) {
            let body = try await body(of: request, limit)
            return try await worker.run { try decode(body) }
        }
    }

    /// The most bytes that a body can have, from what its head says.
    private func limit(of request: Request) throws -> Int {
        let type = request.headers[.contentType]?.split(separator: ";").first?.lowercased()
        // Browsers do not let pages of other origins send this type without a preflight request.
        guard type?.filter({ $0 != " " }) == "application/json" else {
            throw APIError(
                status: .unsupportedMediaType, message: "the body must be of type application/json",
                type: "invalid_request_error", code: "unsupported_media_type")
        }
        let length = request.headers[.contentLength].flatMap(Int.init) ?? configuration.maxBodyBytes
        guard length <= configuration.maxBodyBytes else { throw APIError.tooLarge }
        return length
    }

    private func body(of request: Request, _ limit: Int) async throws -> ByteBuffer {
        var body = ByteBuffer()
        for try await part in request.body {
            guard body.readableBytes + part.readableBytes <= limit else { throw APIError.tooLarge }
            body.writeImmutableBuffer(part)
        }
        return body
    }

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
            let maxTokens = try fields.maxTokens(
                usual: scheduler.maxTokens(afterPrompt: prompt.count, cache: cache),
                room: scheduler.trainedRoom(afterPrompt: prompt.count, after: fields.morphkv?.context))
            return try (0..<(fields.n ?? 1)).map { index in
                ServingRequest(
                    prompt: prompt, after: fields.morphkv?.context, pins: pins,
                    options: GenerationOptions(
                        maxTokens: maxTokens, sampling: try fields.sampling(index),
                        stop: (fields.stop?.all ?? []) + stops, grammar: grammar),
                    cache: cache, topLogprobs: topLogprobs,
                    viewInterval: fields.stream == true ? fields.morphkv?.view : nil)
            }
        }
    }
}
#endif
