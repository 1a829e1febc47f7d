#if Server
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// `/completion`, llama-server's own.
struct NativeRoutes: Sendable {
    let scheduler: Scheduler
    let configuration: ServerConfiguration
    let tokenizer: Tokenizer
    let responder: Responder
    let lengthNotice: LengthNotice
    let reader: RequestReader
    let grammars: GrammarBudget
    /// The tokens that end a generation.
    private let ends: [Token]

    init(_ completions: CompletionRoutes) {
        scheduler = completions.scheduler
        configuration = completions.configuration
        tokenizer = completions.tokenizer
        responder = completions.responder
        lengthNotice = completions.lengthNotice
        reader = completions.reader
        grammars = completions.grammars
        let tokenizer = completions.tokenizer
        ends = (0..<Token(tokenizer.vocabularySize)).filter(tokenizer.endsGeneration)
    }

    /// A request that was understood.
    private struct Job: Sendable {
        let requests: [ServingRequest]
        let format: NativeAnswers
        /// For each answer whether more tokens than it may have would have fitted.
        let hasRoom: [Bool]
        let isList: Bool
    }

    func completion(_ request: Request, context: ServerRequestContext) async throws -> Response {
        let job = try await reader.understand(request) { body in
            let wanted = try Coding.decode(NativeRequest.self, from: body)
            try wanted.validate(configuration)
            let shape = try Coding.decode(AnswerShape.self, from: body)
            return try understand(wanted, try shape.grammar(in: body, tokenizer), shape.grammar ?? "")
        }
        let isStreamed = job.format.request.stream == true
        return try await responder.respond(to: job.requests, isStreamed: isStreamed, context) { answers in
            NativeWriter(
                answers, job.format, hasRoom: job.hasRoom, isList: job.isList, onEnd: lengthNotice.check)
        }
    }

    private func understand(_ wanted: NativeRequest, _ grammar: Grammar?, _ gbnf: String) throws -> Job {
        let context = wanted.morphkv?.context
        let prompts = wanted.prompt.tokens(tokenizer, isStart: context == nil)
        guard !prompts.isEmpty, prompts.count <= configuration.maxChoices else {
            throw APIError.invalid("1 to \(configuration.maxChoices) prompts are possible", param: "prompt")
        }
        let cache = try PolicyChoice(configuration.policies, scheduler).cache(wanted.morphkv)
        var requests: [ServingRequest] = []
        var (settings, texts): ([JSONValue], [String]) = ([], [])
        var hasRoom: [Bool] = []
        for prompt in prompts {
            let most = scheduler.maxTokens(afterPrompt: prompt.count, cache: cache)
            let tokens = maxTokens(wanted, most: most)
            for index in 0..<(wanted.n ?? 1) {
                let sampling = try wanted.sampling(index, configuration.sampling, tokenizer, ends: ends)
                let options = GenerationOptions(
                    maxTokens: tokens, sampling: sampling, stop: wanted.stop?.all ?? [], grammar: grammar)
                requests.append(request(wanted, prompt, options, cache))
                settings.append(
                    NativeSettings(sampling: sampling, maxTokens: tokens, request: wanted, grammar: gbnf).json)
                texts.append(tokenizer.decode(prompt, special: true))
                hasRoom.append(tokens < most || asked(wanted).map { $0 <= most } ?? false)
            }
        }
        try grammars.reserve(for: &requests, [], tokenizer)
        let format = NativeAnswers(
            model: configuration.modelName, request: wanted, settings: settings, prompts: texts)
        return Job(
            requests: requests, format: format, hasRoom: hasRoom,
            isList: wanted.prompt.isList || wanted.n ?? 1 > 1)
    }

    /// Tokens that an answer was asked to have; nil if as many as can be.
    private func asked(_ wanted: NativeRequest) -> Int? {
        (wanted.nPredict ?? wanted.maxTokens ?? configuration.defaultMaxTokens).flatMap { $0 < 0 ? nil : $0 }
    }

    private func maxTokens(_ wanted: NativeRequest, most: Int) -> Int {
        min(most, asked(wanted) ?? most)
    }

    private func request(
        _ wanted: NativeRequest, _ prompt: [Token], _ options: GenerationOptions, _ cache: CacheOptions?
    ) -> ServingRequest {
        let kept = wanted.nKeep ?? 0
        let pins: PromptPins =
            kept == 0 ? .none : kept < 0 ? .whole : .ranges([0..<min(kept, prompt.count)])
        let probabilities = wanted.nProbs.flatMap { $0 > 0 ? $0 : nil }
        var request = ServingRequest(
            prompt: prompt, after: wanted.morphkv?.context, pins: pins, options: options, cache: cache,
            topLogprobs: probabilities)
        request.slot = wanted.idSlot.flatMap { $0 < 0 ? nil : $0 }
        request.usesKeptCaches = wanted.cachePrompt != false
        request.reportsTokens = wanted.stream == true || wanted.returnTokens == true
        request.reportsProgress = wanted.stream == true && wanted.returnProgress == true
        request.reportsSampling = wanted.postSamplingProbs == true
        return request
    }
}
#endif
