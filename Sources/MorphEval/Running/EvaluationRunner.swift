public import Foundation
internal import Synchronization

/// Runs a benchmark: asks a model for each sample and writes every answer down as soon as it is there.
///
/// A result file holds the lines of one run; the same call continues a run that was interrupted.
public struct EvaluationRunner: Sendable {
    /// How far a run is.
    public struct Progress: Sendable, Hashable {
        /// The samples of the run.
        public let total: Int
        /// How many of them are written down.
        public internal(set) var done: Int
        /// How many of them an earlier call had written down.
        public let resumed: Int
        /// The samples that are being answered, each with the tokens of its answer so far.
        public internal(set) var current: [String: Int] = [:]
        /// The time left in seconds, from the time that the samples of this call took; `nil` before the first.
        public package(set) var secondsLeft: Double?

        /// How far something is.
        package init(total: Int, done: Int, resumed: Int) {
            self.total = total
            self.done = done
            self.resumed = resumed
        }
    }

    let model: any AnsweringModel
    let settings: EvaluationSettings
    let samples: [EvaluationSample]
    let samplesAtATime: Int
    /// The part of the run that is computed; all of it if nil.
    public var shard: Shard?
    /// What caches may take, where that is a share of what they took in another run.
    public var budget: SampleBudget?
    /// The call that the run is made by, for a person who wants to repeat it; written into every line if there is one.
    public var command: String?

    /// Prepares a run.
    ///
    /// - Parameters:
    ///   - model: Answers the samples.
    ///   - settings: What the run is, of the same samples.
    ///   - samples: What is asked, in this order.
    ///   - samplesAtATime: How many samples the model is asked for at the same time; answers do not depend on it.
    public init(
        model: any AnsweringModel, settings: EvaluationSettings, samples: [EvaluationSample], samplesAtATime: Int = 1
    ) {
        self.model = model
        self.settings = settings
        self.samples = samples
        self.samplesAtATime = max(1, samplesAtATime)
    }

    /// Runs what the file does not hold yet.
    ///
    /// - Parameters:
    ///   - url: The result file; a new one, or that of the same run.
    ///   - progress: is told how far the run is, after every token.
    /// - Returns: how far the run is at the end.
    /// - Throws: ``EvaluationError``, or what the model throws. What was written stays, and the next call continues.
    @discardableResult
    public func run(
        to url: URL, progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        var file = try RunFile(url, settings: settings, samples: samples)
        let own = samples.enumerated().filter { shard?.has($0.offset) ?? true }
        var open = own.filter { !file.done.contains($0.element.id) }[...]
        let state = RunState(total: own.count, done: own.count - open.count, observer: progress)
        try await withThrowingTaskGroup(of: (Int, EvaluationAnswer).self) { group in
            for _ in 0..<samplesAtATime {
                guard let (index, sample) = open.popFirst() else { break }
                group.addTask { (index, try await answer(to: sample, index, state)) }
            }
            while let (index, answer) = try await group.next() {
                let making = RunFile.Making(
                    index: index, samplesAtATime: samplesAtATime, shard: shard, command: command)
                try file.append(samples[index], answer, making)
                state.finish(samples[index].id)
                guard let (index, sample) = open.popFirst() else { continue }
                group.addTask { (index, try await self.answer(to: sample, index, state)) }
            }
        }
        return state.progress
    }

    private func answer(to sample: EvaluationSample, _ index: Int, _ state: RunState) async throws -> EvaluationAnswer {
        try Task.checkCancellation()
        state.note(0, of: sample.id)
        var request = try PromptBuilder(model: model, settings: settings).request(for: sample, index: index)
        request.fullTokens = try budget?.fullTokens(of: sample.id)
        return try await model.answer(request) { state.note($0, of: sample.id) }
    }
}

/// How far a run is, as its parts report it from wherever they compute.
private final class RunState: Sendable {
    private let start = ContinuousClock.now
    private let observer: @Sendable (EvaluationRunner.Progress) -> Void
    private let state: Mutex<EvaluationRunner.Progress>

    init(total: Int, done: Int, observer: @escaping @Sendable (EvaluationRunner.Progress) -> Void) {
        self.observer = observer
        let progress = EvaluationRunner.Progress(total: total, done: done, resumed: done)
        state = Mutex(progress)
        observer(progress)
    }

    var progress: EvaluationRunner.Progress { state.withLock(\.self) }

    func note(_ tokens: Int, of id: String) {
        observer(
            state.withLock {
                $0.current[id] = tokens
                return $0
            })
    }

    func finish(_ id: String) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        observer(
            state.withLock {
                $0.current[id] = nil
                $0.done += 1
                $0.secondsLeft = seconds / Double($0.done - $0.resumed) * Double($0.total - $0.done)
                return $0
            })
    }
}
