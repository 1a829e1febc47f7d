internal import Foundation

/// How good text stays that a sequence writes far beyond the trained context: what a fresh full cache thinks of windows of it.
package struct LongWriting: Sendable, Hashable, Codable {
    /// The position after which the windows lie.
    package var position: Int
    /// Tokens in windows.
    package var tokens: Int
    /// Mean log-likelihood of the windows' tokens under a full cache that begins shortly before each, in nats.
    package var logLikelihood: Double
    /// The standard error of that, if windows are independent.
    package var error: Double
    /// Share of the windows' 8-grams that occurred among them before.
    package var repeats: Double

    /// Tokens of a window.
    package static let window = 256
    /// Tokens that a window's judge reads before it.
    private static let prefix = 64

    /// Judges windows of text.
    private struct Judge {
        let model: Model
        let engine: Engine

        init(_ model: Model, threads: Int) throws {
            self.model = model
            engine = try Engine(model, .full, threads: threads, reserve: window + prefix)
        }

        /// - Parameter windows: each with its prefix.
        func verdict(_ windows: [[Token]], after position: Int) throws -> LongWriting {
            let means = try windows.map(meanLogLikelihood)
            let mean = means.reduce(0, +) / Double(means.count)
            let variance = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, means.count - 1))
            return LongWriting(
                position: position, tokens: windows.count * window, logLikelihood: mean,
                error: (variance / Double(means.count)).squareRoot(),
                repeats: Self.repeats(windows.map { Array($0.suffix(window)) }))
        }

        private func meanLogLikelihood(_ tokens: [Token]) throws -> Double {
            engine.clear()
            let logits = try engine.prefill(tokens, wantsAllLogits: true)
            let size = model.description.vocabularySize
            let sum = (tokens.count - window..<tokens.count).reduce(0.0) { sum, index in
                let row = Array(logits[(index - 1) * size..<index * size])
                return sum + Double(row[Int(tokens[index])]) - row.logSumExp
            }
            return sum / Double(window)
        }

        private static func repeats(_ windows: [[Token]]) -> Double {
            var seen: Set<[Token]> = []
            var (all, again) = (0, 0)
            for window in windows {
                for start in 0...window.count - 8 {
                    all += 1
                    again += seen.insert(Array(window[start..<start + 8])).inserted ? 0 : 1
                }
            }
            return Double(again) / Double(all)
        }
    }

    /// Windows of what fresh sequences with full caches write from token 256 to 512: what the others are compared with.
    ///
    /// - Throws: ``CacheError`` when the trained context is shorter than that.
    package static func fresh(
        _ model: Model, windows: Int, sampling: SamplingOptions, threads: Int, progress: (Int) -> Void = { _ in }
    ) throws -> LongWriting {
        guard model.description.contextLength >= 2 * window else {
            throw CacheError(.positions, "a trained context of \(2 * window) tokens at least is needed")
        }
        let engine = try Engine(model, .full, threads: threads, reserve: 2 * window)
        let texts = try (0..<windows).map { number in
            engine.clear()
            var options = sampling
            options.seed = sampling.seed &+ UInt32(number)
            var writer = try Writer(model, engine, options)
            for _ in 1..<2 * window { try writer.next() }
            progress(number + 1)
            return Array(writer.recent.suffix(prefix + window))
        }
        return try Judge(model, threads: threads).verdict(texts, after: window)
    }

    /// Lets a sequence write, and looks at windows after each mark.
    ///
    /// - Parameters:
    ///   - marks: positions after which windows are looked at, ascending and far enough apart for them.
    ///   - windows: how many after each.
    ///   - reached: is told each mark's figures when its windows are written.
    package static func measure(
        _ model: Model, _ sequence: some FedSequence, marks: [Int], windows: Int, sampling: SamplingOptions,
        threads: Int, progress: (Int) -> Void = { _ in }, reached: (LongWriting) throws -> Void
    ) throws {
        let judge = try Judge(model, threads: threads)
        var writer = try Writer(model, sequence, sampling)
        var position = 1
        for mark in marks {
            var texts: [[Token]] = []
            for number in 1...windows {
                while position < mark + number * window {
                    try writer.next()
                    position += 1
                    if position % 1000 == 0 { progress(position) }
                }
                texts.append(Array(writer.recent.suffix(prefix + window)))
            }
            try reached(judge.verdict(texts, after: mark))
        }
    }

    /// Feeds a sequence what it says, from the beginning of a text on.
    private struct Writer {
        let sequence: any FedSequence
        let sampler: Sampler
        /// The last tokens, those of a window with its prefix at least.
        var recent: [Token]

        init(_ model: Model, _ sequence: some FedSequence, _ sampling: SamplingOptions) throws {
            self.sequence = sequence
            sampler = try Sampler(sampling, after: [], vocabularySize: model.description.vocabularySize)
            recent = model.tokenizer?.beginOfText.map { [$0] } ?? [0]
            try sequence.decode(recent[0])
        }

        mutating func next() throws {
            let token = try sampler.sample(sequence.logits)
            try sequence.decode(token)
            recent.append(token)
            if recent.count > 4 * window { recent.removeFirst(2 * window) }
        }
    }
}
