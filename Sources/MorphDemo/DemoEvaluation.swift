internal import MorphKV

/// Measures methods on the same prompts.
package struct DemoEvaluation: Sendable {
    /// How far the work is.
    package struct Progress: Sendable, Hashable {
        /// The method at work.
        package let method: DemoMethod
        /// Answers written, by all methods together.
        package let done: Int
        /// Answers to write.
        package let total: Int
    }

    private var writer: DiaryWriter
    private let tasks: [DiaryTask]
    private let jobs: Int
    private let batch: Int
    private let conditions: DiaryConditions
    private let comparesBytes: Bool

    /// Takes the prompts.
    ///
    /// - Parameters:
    ///   - jobs: How many answers to write at the same time, each by itself.
    ///   - batch: How many of them to decode as one batch instead, if more than 1.
    ///   - conditions: Circumstances; other than the usual ones only where answers are decoded as batches.
    ///   - comparesBytes: Whether a share is one of the bytes that the full cache takes for the response, everything
    ///     counted that a policy keeps, instead of the response's tokens.
    package init(
        _ writer: DiaryWriter, tasks: [DiaryTask], jobs: Int = 1, batch: Int = 1,
        conditions: DiaryConditions = DiaryConditions(),
        comparesBytes: Bool = false
    ) {
        self.batch = batch
        self.conditions = conditions
        self.comparesBytes = comparesBytes
        self.writer = writer
        self.tasks = tasks
        self.jobs = jobs
    }

    /// Measures one method after the other.
    ///
    /// Where a capacity is a share of the response, the responses of the full cache, stored as usual, are written first.
    ///
    /// - Parameters:
    ///   - progress: is told after every answer.
    ///   - result: is told each method's result when it is complete, in the order of the methods.
    package func run(
        _ methods: [DemoMethod], progress: @Sendable (Progress) -> Void = { _ in },
        result: (DemoResult) throws -> Void
    ) async throws {
        let full = try DemoMethod.methods([FullPolicy.descriptor.name], [])[0]
        let isUsual = writer.storage == DiaryStorage()
        let needsFull = methods.contains { $0.needsResponseLength || $0.isFull && isUsual }
        let total = (methods.count { !$0.isFull || !isUsual } + (needsFull ? 1 : 0)) * tasks.count
        var done = 0
        func answers(_ evaluation: Self, _ method: DemoMethod, _ lengths: [Int]) async throws -> [Outcome] {
            let outcomes = try await evaluation.write(method, lengths: lengths) { [done] in
                progress(Progress(method: method, done: done + $0, total: total))
            }
            done += tasks.count
            return outcomes
        }
        var usual = self
        usual.writer = try writer.storingAsUsual
        let fullOutcomes = needsFull ? try await answers(usual, full, []) : []
        let lengths = fullOutcomes.map(\.tokens)
        for method in methods {
            let outcomes = method.isFull && isUsual ? fullOutcomes : try await answers(self, method, lengths)
            try result(DemoResult(method, outcomes, storage: writer.storage))
        }
    }

    /// What one answer adds to a result.
    struct Outcome: Sendable {
        let index: Int
        /// Entries per KV head; nil if the policy has no capacity.
        let entries: Int?
        let score: DiaryScore
        let tokens: Int
        let tokensAfterFirst: Int
        let seconds: Double
        let isFinished: Bool
        let cacheBytes: Int
        let sharedBytes: Int
        let peakBytes: Int
        /// Bytes that the full cache takes for the share of the response, or those that are stated; nil if the capacity is a
        /// number of entries.
        let budget: Int?
    }

    /// Writes the answers to all prompts, some at a time.
    private func write(
        _ method: DemoMethod, lengths: [Int], progress: (Int) -> Void
    ) async throws -> [Outcome] {
        if batch > 1 || conditions != DiaryConditions() {
            return try writeBatch(method, lengths: lengths, progress: progress)
        }
        return try await withThrowingTaskGroup(of: Outcome.self) { group in
            var outcomes: [Outcome] = []
            var next = 0
            func startOne() {
                guard next < tasks.count else { return }
                let index = next
                next += 1
                group.addTask { try await write(method, index, lengths.isEmpty ? 0 : lengths[index]) }
            }
            for _ in 0..<max(1, jobs) { startOne() }
            while let outcome = try await group.next() {
                outcomes.append(outcome)
                progress(outcomes.count)
                startOne()
            }
            return outcomes.sorted { $0.index < $1.index }
        }
    }

    private func write(_ method: DemoMethod, _ index: Int, _ fullLength: Int) async throws -> Outcome {
        let task = tasks[index]
        let (policy, entries) = try policy(method, fullLength)
        let budget = try budget(method, fullLength)
        let answer = try await writer.answer(to: task, policy: policy)
        return Outcome(
            index: index, entries: entries, score: DiaryScore(answer.text, to: task), tokens: answer.tokens,
            tokensAfterFirst: max(0, answer.tokens - 1), seconds: answer.seconds, isFinished: answer.isFinished,
            cacheBytes: answer.cacheBytes, sharedBytes: answer.sharedBytes, peakBytes: answer.peakBytes,
            budget: budget)
    }

    /// Writes the answers to all prompts, decoded as batches.
    private func writeBatch(_ method: DemoMethod, lengths: [Int], progress: (Int) -> Void) throws -> [Outcome] {
        let chosen = try tasks.indices.map { try policy(method, lengths.isEmpty ? 0 : lengths[$0]) }
        var outcomes: [Outcome] = []
        try writer.answers(to: tasks, policies: chosen.map(\.policy), batch: batch, conditions: conditions) {
            index, answer in
            outcomes.append(
                Outcome(
                    index: index, entries: chosen[index].entries, score: DiaryScore(answer.text, to: tasks[index]),
                    tokens: answer.tokens, tokensAfterFirst: max(0, answer.tokens - 1), seconds: answer.seconds,
                    isFinished: answer.finish == .stop, cacheBytes: answer.cacheBytes,
                    sharedBytes: answer.sharedBytes, peakBytes: answer.cacheBytes + answer.computeBytes,
                    budget: try budget(method, lengths.isEmpty ? 0 : lengths[index])))
            progress(outcomes.count)
        }
        return outcomes.sorted { $0.index < $1.index }
    }

    /// Bytes that the full cache takes for a method's share of the response, or those that are stated; nil if its capacity is
    /// a number of entries.
    private func budget(_ method: DemoMethod, _ fullLength: Int) throws -> Int? {
        guard let capacity = method.capacity, capacity.isShare || capacity.isBytes else { return nil }
        return try writer.budget(capacity, ofResponse: fullLength)
    }

    /// A method's policy for a prompt to which the full cache's response has that many tokens, and its entries per KV head.
    private func policy(_ method: DemoMethod, _ fullLength: Int) throws -> (policy: any CachePolicy, entries: Int?) {
        let entries = try method.capacity.map { capacity in
            capacity.isBytes || comparesBytes && capacity.isShare
                ? try writer.entries(of: method, capacity, forResponse: fullLength)
                : capacity.entries(forResponse: fullLength)
        }
        let policy = try entries.map { try method.cachePolicy(entries: $0) } ?? method.cachePolicy(responseTokens: 0)
        return (policy, entries)
    }
}
