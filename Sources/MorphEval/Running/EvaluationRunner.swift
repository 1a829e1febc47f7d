package import Foundation

/// Runs a benchmark: asks a model one sample after the other and writes each answer down before it asks the next.
package struct EvaluationRunner: Sendable {
    /// How far a run is.
    package struct Progress: Sendable, Hashable {
        /// The samples of the run.
        package let total: Int
        /// How many of them are written down.
        package internal(set) var done: Int
        /// How many of them an earlier call had written down.
        package let resumed: Int
        /// The sample that is being answered; `nil` at the end.
        package internal(set) var current: String?
        /// The tokens of the answer so far.
        package internal(set) var tokens = 0
        /// The time left in seconds, from the time that the samples of this call took; `nil` before the first.
        package internal(set) var secondsLeft: Double?

        /// How far something is.
        package init(total: Int, done: Int, resumed: Int) {
            self.total = total
            self.done = done
            self.resumed = resumed
        }
    }

    let model: any AnsweringModel
    let settings: RunSettings
    let samples: [EvaluationSample]

    /// Prepares a run.
    package init(model: any AnsweringModel, settings: RunSettings, samples: [EvaluationSample]) {
        self.model = model
        self.settings = settings
        self.samples = samples
    }

    /// Runs what the file does not hold yet.
    ///
    /// - Parameters:
    ///   - url: The result file; a new one, or that of the same run.
    ///   - progress: is told how far the run is, after every token.
    /// - Returns: how far the run is at the end.
    /// - Throws: ``EvaluationError``, or what the model throws. What was written stays, and the next call continues.
    @discardableResult
    package func run(
        to url: URL, progress report: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        var file = try RunFile(url, settings: settings, samples: samples)
        let builder = PromptBuilder(model: model, settings: settings)
        let resumed = file.done.count
        let start = ContinuousClock.now
        var progress = Progress(total: samples.count, done: resumed, resumed: resumed)
        for (index, sample) in samples.enumerated() where !file.done.contains(sample.id) {
            try Task.checkCancellation()
            progress.current = sample.id
            report(progress)
            let request = try builder.request(for: sample, index: index)
            let before = progress
            let answer = try await model.answer(request) { tokens in
                var now = before
                now.tokens = tokens
                report(now)
            }
            try file.append(sample, answer)
            progress.done += 1
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            progress.secondsLeft = seconds / Double(progress.done - resumed) * Double(progress.total - progress.done)
        }
        progress.current = nil
        report(progress)
        return progress
    }
}
