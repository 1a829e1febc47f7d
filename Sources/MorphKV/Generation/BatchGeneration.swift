/// Writes many answers with one thread: some at a time, each with a cache of its own, decoded as one batch.
///
/// For measuring: a ``Scheduler`` serves requests as they come.
package struct BatchGeneration {
    /// Prompts and how they are answered.
    package struct Request: Sendable {
        /// Fed one after the other.
        package let prompts: [String]
        package let cache: CacheOptions
        package let options: GenerationOptions

        package init(_ prompts: [String], cache: CacheOptions, options: GenerationOptions) {
            self.prompts = prompts
            self.cache = cache
            self.options = options
        }
    }

    /// An answer and what its cache was like at the end.
    package struct Answer: Sendable {
        package var text = ""
        package var tokens = 0
        /// Its share of the time of the steps that it took part in, in seconds.
        package var seconds = 0.0
        package var finish = Generation.FinishReason.length
        package var cacheBytes = 0
        /// Bytes of tables that all sequences of the model share.
        package var sharedBytes = 0
        /// Bytes of intermediate results, which all answers share.
        package var computeBytes = 0
    }

    /// An answer that is being written.
    private final class Sequence {
        let index: Int
        let engine: Engine
        let state: GenerationState
        var answer = Answer()

        init(_ index: Int, _ engine: Engine, _ state: GenerationState) {
            self.index = index
            self.engine = engine
            self.state = state
        }
    }

    private let model: Model
    private let threads: Int
    private let sequences: Int

    /// - Parameter sequences: answers to write at a time.
    package init(_ model: Model, sequences: Int, threads: Int) {
        self.model = model
        self.sequences = sequences
        self.threads = threads
    }

    /// Writes all answers; each is handed out when it is complete.
    ///
    /// - Throws: what a ``Session`` throws for such a request, and what `finished` throws.
    package func run(
        _ count: Int, request: (Int) throws -> Request, finished: (Int, Answer) throws -> Void
    ) throws {
        let workspace = try EngineWorkspace(model, threads: threads)
        let batch = try Batch(model, threads: threads)
        var running: [Sequence] = []
        var started = 0
        while started < count || !running.isEmpty {
            while started < count, running.count < sequences {
                running.append(try start(request(started), started, in: workspace))
                started += 1
            }
            let begin = ContinuousClock.now
            var fed: [(engine: Engine, token: Token)] = []
            for sequence in running {
                let step = try sequence.state.next(sequence.engine.logits)
                sequence.answer.text += step.text
                if let finish = step.finish { sequence.answer.finish = finish }
                if let token = step.token, !sequence.state.isOver { fed.append((sequence.engine, token)) }
            }
            for sequence in running where sequence.state.isOver {
                sequence.answer.tokens = sequence.state.generated
                sequence.answer.cacheBytes = sequence.engine.statistics.allocatedBytes
                sequence.answer.sharedBytes = sequence.engine.cache.sharedBytes
                sequence.answer.computeBytes = workspace.bytes + batch.computeBytes
                try finished(sequence.index, sequence.answer)
            }
            running.removeAll { $0.state.isOver }
            if !fed.isEmpty { try batch.decode(fed) }
            let share = (ContinuousClock.now - begin) / .seconds(1) / Double(max(1, running.count))
            for sequence in running { sequence.answer.seconds += share }
        }
    }

    private func start(_ request: Request, _ index: Int, in workspace: EngineWorkspace) throws -> Sequence {
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer, and the prompts are text")
        }
        let engine = try Engine(model, request.cache, in: workspace)
        var fed: [Token] = []
        for prompt in request.prompts {
            let tokens = tokenizer.encode(prompt, addSpecial: fed.isEmpty, parseSpecial: true)
            try engine.prefill(tokens)
            fed += tokens
        }
        let recent = Array(fed.suffix(max(0, request.options.sampling.penaltyWindow)))
        let state = try GenerationState(prompt: recent, options: request.options, model: model)
        return Sequence(index, engine, state)
    }
}
