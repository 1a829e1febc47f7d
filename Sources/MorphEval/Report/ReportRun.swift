package import Foundation

/// A run as a report sees it: its settings, its lines, and the numbers that it is judged by.
package struct ReportRun: Sendable {
    /// The result file.
    package let url: URL
    /// What the run was.
    package let settings: RunSettings
    /// The results.
    package let lines: [RunLine]
    /// The benchmark's own number first, then those of a judge, in percent.
    package let measures: [Measure]

    /// Reads and scores a result file, and the verdicts beside it if there are any.
    ///
    /// - Throws: ``EvaluationError`` if it is not the result of one run.
    package init(_ url: URL, scorer: PredictionScorer = PredictionScorer()) async throws {
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
        guard let benchmark = Benchmark(rawValue: settings.benchmark) else {
            throw EvaluationError(.name, file: url, "there is no way to score '\(settings.benchmark)'")
        }
        self.settings = settings
        let result = try await scorer.score(url, benchmark: benchmark, dataset: settings.dataset)
        let scale = benchmark.scoresInPercent ? 1.0 : 100
        let verdicts = try JudgedRun.measures(of: url, lines: lines)
        measures = [Measure(result.metric, values: result.perSample.map { $0 * scale })] + verdicts
    }

    /// What the samples are taken from.
    package var dataset: String {
        settings.benchmark == settings.dataset ? settings.dataset : "\(settings.benchmark) \(settings.dataset)"
    }

    /// The bytes of the largest cache of any sample.
    package var cacheBytes: Int { lines.compactMap { $0.record.value["cache_bytes"]?.integer }.max() ?? 0 }

    /// The same with intermediate results.
    package var peakBytes: Int { lines.compactMap { $0.record.value["peak_bytes"]?.integer }.max() ?? 0 }

    /// The speed of writing, over all samples.
    package var tokensPerSecond: Double {
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

extension Benchmark {
    /// Whether the scores of samples are percentages, as the benchmark's own code gives them.
    var scoresInPercent: Bool { self == .longWriter || self == .longGenBench }
}
