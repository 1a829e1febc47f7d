internal import MorphEval
package import MorphKV

/// Lets a model write diaries, greedily, and notes what that costs.
package struct DiaryWriter: Sendable {
    /// How far an answer is.
    package struct Progress: Sendable {
        /// The new piece of text.
        package let text: String
        /// Tokens written so far.
        package let tokens: Int
        /// Entries per KV head at present.
        package let slotsUsed: Int
        /// Time since the first token, in seconds.
        package let seconds: Double

        /// Tokens per second, the first one not counted: it comes out of the prompt.
        package var tokensPerSecond: Double { seconds > 0 ? Double(tokens - 1) / seconds : 0 }
    }

    private let model: Model
    private let threads: Int
    /// How keys and values are stored.
    package let storage: DiaryStorage

    /// The cache that diaries are written in: they end within the trained context, so no key has to move.
    package static func options(
        _ policy: any CachePolicy, storage: DiaryStorage = DiaryStorage(), prefill: CacheOptions.PrefillMode = .exact
    ) -> CacheOptions {
        CacheOptions(
            policy: policy, elementType: storage.keys, valueType: storage.values, prefill: prefill, positions: .none)
    }

    /// Takes a model.
    ///
    /// - Throws: ``EvaluationError`` of kind `model` if it has no tokenizer.
    package init(_ model: Model, threads: Int = 1, storage: DiaryStorage = DiaryStorage()) throws {
        guard model.tokenizer != nil else {
            throw EvaluationError(.model, file: model.url, "the model has no tokenizer, and the demo is text")
        }
        self.model = model
        self.threads = threads
        self.storage = storage
    }

    /// The same with keys and values stored as usual.
    var storingAsUsual: DiaryWriter {
        get throws { try DiaryWriter(model, threads: threads) }
    }

    /// Writes one diary.
    ///
    /// - Parameter progress: is told of every piece of text, with the bytes that the cache has at that time.
    package func answer(
        to task: DiaryTask, policy: any CachePolicy,
        progress: (Progress, _ cacheBytes: Int) async throws -> Void = { _, _ in }
    ) async throws -> DiaryAnswer {
        let session = try Session(model, cache: Self.options(policy, storage: storage), threads: threads)
        var answer = DiaryAnswer()
        var firstToken: ContinuousClock.Instant?
        let options = GenerationOptions(maxTokens: task.maximumNewTokens)
        for try await piece in session.generate(task.sample.prompt, options: options) {
            let start = firstToken ?? .now
            firstToken = start
            answer.text += piece.text
            if piece.token != nil { answer.tokens += 1 }
            answer.seconds = (ContinuousClock.now - start) / .seconds(1)
            answer.isFinished = piece.finish == .stop
            if answer.memory.isEmpty || answer.tokens % DiaryAnswer.memoryInterval == 0 {
                answer.memory.append(.init(tokens: answer.tokens, bytes: await session.statistics.allocatedBytes))
            }
            try await progress(
                Progress(
                    text: piece.text, tokens: answer.tokens, slotsUsed: piece.slotsUsed, seconds: answer.seconds),
                answer.memory.last?.bytes ?? 0)
        }
        let statistics = await session.statistics
        answer.policy = statistics.policy
        answer.slots = statistics.slots
        answer.fewestSlots = statistics.fewestSlots
        answer.promptTokens = statistics.tokensSeen - answer.tokens
        answer.cacheBytes = statistics.allocatedBytes
        answer.sharedBytes = try CachePlan(
            model, Self.options(policy, storage: storage), tokens: answer.tokens
        ).sharedBytes
        answer.memory.append(.init(tokens: answer.tokens, bytes: answer.cacheBytes))
        answer.peakBytes = answer.cacheBytes + (await session.computeBytes)
        answer.keptPositions = await session.keptPositions
        return answer
    }
}

extension DiaryWriter {
    /// Writes many diaries, decoded as batches.
    ///
    /// - Parameters:
    ///   - policies: One for each task.
    ///   - batch: Diaries to write at a time.
    ///   - conditions: Circumstances.
    ///   - finished: Is told each answer when it is complete.
    func answers(
        to tasks: [DiaryTask], policies: [any CachePolicy], batch: Int, conditions: DiaryConditions,
        finished: (Int, BatchGeneration.Answer) throws -> Void
    ) throws {
        try BatchGeneration(model, sequences: batch, threads: threads).run(tasks.count) { index in
            BatchGeneration.Request(
                conditions.parts(of: tasks[index].sample.prompt),
                cache: Self.options(policies[index], storage: storage, prefill: conditions.prefill),
                options: GenerationOptions(
                    maxTokens: tasks[index].maximumNewTokens,
                    sampling: SamplingOptions(temperature: conditions.temperature, seed: UInt32(index))))
        } finished: {
            try finished($0, $1)
        }
    }

    /// Bytes that the full cache takes for a share of a response, or the bytes that are stated. It is the full cache as it is
    /// stored usually, whatever this writer's storage is: so a share is as many bytes for all types of keys and values.
    package func budget(_ capacity: DemoCapacity, ofResponse tokens: Int) throws -> Int {
        if case .bytes(let bytes) = capacity { return bytes }
        return try FullCacheCost(model, Self.options(FullPolicy())).bytes(of: capacity.entries(forResponse: tokens))
    }

    /// The most entries per KV head with which a method's cache takes no more than so many bytes, or than a share of the bytes
    /// of the full cache's response; everything that it keeps counts (`FittedCache`).
    ///
    /// - Throws: `CacheError` if these are too few for the method.
    package func entries(of method: DemoMethod, _ capacity: DemoCapacity, forResponse tokens: Int) throws -> Int {
        try FittedCache(
            method.specification, in: budget(capacity, ofResponse: tokens), model,
            Self.options(FullPolicy(), storage: storage)
        ).entries
    }
}

/// How the keys and values of diaries are stored.
package struct DiaryStorage: Sendable, Hashable, CustomStringConvertible {
    /// The type of keys.
    package let keys: CacheType
    /// The type of values.
    package let values: CacheType

    /// Keys of a type, and values of the same unless they have their own.
    package init(keys: CacheType = .f16, values: CacheType? = nil) {
        self.keys = keys
        self.values = values ?? keys
    }

    /// "f16", or "q8_0, q4_0" where values have another type than keys.
    package var description: String { keys == values ? "\(keys)" : "\(keys), \(values)" }
}

/// A diary that a model wrote, and what that cost.
package struct DiaryAnswer: Sendable, Hashable {
    /// The size of the cache at one time.
    package struct MemoryPoint: Sendable, Hashable {
        /// Tokens written so far.
        package let tokens: Int
        /// Bytes of the cache.
        package let bytes: Int
    }

    /// After how many tokens the size of the cache is noted.
    static let memoryInterval = 32

    /// The policy with all its parameters, as text.
    package internal(set) var policy = ""
    /// What the model wrote.
    package internal(set) var text = ""
    /// Tokens written.
    package internal(set) var tokens = 0
    /// Tokens read before that.
    package internal(set) var promptTokens = 0
    /// Time from the first token to the last, in seconds.
    package internal(set) var seconds = 0.0
    /// Whether the model ended its text itself.
    package internal(set) var isFinished = false
    /// The most slots that a KV head has at the end.
    package internal(set) var slots = 0
    /// The fewest slots that a KV head has at the end.
    package internal(set) var fewestSlots = 0
    /// Bytes of the cache at the end.
    package internal(set) var cacheBytes = 0
    /// Bytes of tables that sequences share: those of a calibration.
    package internal(set) var sharedBytes = 0
    /// Bytes of cache and tables.
    package var bytes: Int { cacheBytes + sharedBytes }
    /// The cache's with the intermediate results of the computation.
    package internal(set) var peakBytes = 0
    /// The bytes of the cache over time.
    package internal(set) var memory: [MemoryPoint] = []
    /// The positions that each KV head holds at the end: `[layer][kvHead][entry]`.
    package internal(set) var keptPositions: [[[Int]]] = []

    /// Tokens per second, the first one not counted: it comes out of the prompt.
    package var tokensPerSecond: Double { seconds > 0 ? Double(tokens - 1) / seconds : 0 }
}
