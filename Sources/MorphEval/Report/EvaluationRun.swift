public import Foundation

/// A result file, read and scored.
public struct EvaluationRun: Sendable {
    /// The result file.
    public let url: URL
    /// What the run was.
    public let settings: EvaluationSettings
    /// The results, in the order of the file.
    package let lines: [RunLine]
    /// The benchmark's own score first, then those of a judge, in percent.
    public let scores: [EvaluationScore]
    /// What was run.
    package let benchmark: BenchmarkDefinition

    /// Reads and scores a result file, and the verdicts beside it if there are any.
    ///
    /// - Parameters:
    ///   - url: The file, as ``EvaluationRunner`` writes it.
    ///   - benchmarks: The benchmarks that it may be of.
    ///   - scorer: Scores the answers.
    /// - Throws: ``EvaluationError`` if it is not the result of one run of one of the benchmarks.
    public init(
        _ url: URL, benchmarks: BenchmarkRegistry = .standard, scorer: PredictionScorer = PredictionScorer()
    ) async throws {
        self.url = url
        lines = try DataFile(url).lines().map(RunLine.init)
        guard let first = lines.first else { throw EvaluationError(.format, file: url, "it holds no results yet") }
        let settings = first.settings
        for line in lines where line.settings != settings {
            let differences = line.settings.differences(from: settings).joined(separator: "; ")
            throw EvaluationError(
                .differentRun, file: url, line: line.record.line, "it holds lines of another run: \(differences)")
        }
        var ids: Set<String> = []
        for line in lines where !ids.insert(line.id).inserted {
            throw line.record.problem("the sample '\(line.id)' is there twice")
        }
        guard let benchmark = benchmarks[settings.benchmark] else {
            throw EvaluationError(.name, file: url, "there is no way to score '\(settings.benchmark)'")
        }
        self.settings = settings
        let result = try await scorer.score(url, benchmark: benchmark, dataset: settings.dataset)
        self.benchmark = benchmark
        let scale = benchmark.scoring.givesPercentages ? 1.0 : 100
        let verdicts = try JudgedRun.scores(of: url, lines: lines, benchmarks: benchmarks)
        scores = [EvaluationScore(result.metric, values: result.perSample.map { $0 * scale })] + verdicts
    }

    /// What the samples are taken from.
    public var dataset: String {
        settings.benchmark == settings.dataset ? settings.dataset : "\(settings.benchmark) \(settings.dataset)"
    }

    /// The bytes of the largest cache of any sample.
    public var cacheBytes: Int { lines.compactMap { $0.record.value["cache_bytes"]?.integer }.max() ?? 0 }

    /// The same with intermediate results.
    public var peakBytes: Int { lines.compactMap { $0.record.value["peak_bytes"]?.integer }.max() ?? 0 }

    /// The speed of writing, over all samples, in tokens per second of one sequence; 0 if no time was measured.
    public var tokensPerSecond: Double {
        func total(_ name: String) -> Double { lines.reduce(0) { $0 + ($1.record.value[name]?.double ?? 0) } }
        let seconds = total("decode_seconds")
        return seconds > 0 ? total("response_tokens") / seconds : 0
    }

    /// The bytes of the cache at the beginnings of responses, and at their ends with the tokens until there.
    var memory: [(tokens: Int, bytes: Int)] {
        lines.flatMap { line -> [(tokens: Int, bytes: Int)] in
            let value = line.record.value
            guard let tokens = value["response_tokens"]?.integer, let end = value["cache_bytes"]?.integer,
                let start = value["prompt_cache_bytes"]?.integer
            else { return [] }
            return [(0, start), (tokens, end)]
        }
    }
}
