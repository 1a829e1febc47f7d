public import Foundation

/// A result file, or those of all shards of a run, read and scored.
public struct EvaluationRun: Sendable {
    /// The result file; of several the first.
    public let url: URL
    /// All result files.
    public let files: [URL]
    /// What the run was.
    public let settings: EvaluationSettings
    /// The results, in the order of the samples; in that of the file where an older version made it.
    package let lines: [RunLine]
    /// The benchmark's own score first, then its parts where it has some, then those of a judge, in percent.
    public let scores: [EvaluationScore]
    /// How many of them no judge gave.
    private let ownScores: Int
    /// What was run.
    package let benchmark: BenchmarkDefinition
    /// Files without verdicts, where others have some.
    let unjudged: [URL]

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
        try await self.init(shards: [url], benchmarks: benchmarks, scorer: scorer)
    }

    /// Reads and scores the result files of a run's shards as one run: the numbers are those of the same run made at once.
    ///
    /// - Parameters:
    ///   - files: The files, in any order.
    ///   - benchmarks: The benchmarks that it may be of.
    ///   - scorer: Scores the answers.
    /// - Throws: ``EvaluationError`` if they are not the results of one run of one of the benchmarks.
    public init(
        shards files: [URL], benchmarks: BenchmarkRegistry = .standard, scorer: PredictionScorer = PredictionScorer()
    ) async throws {
        var results: [(line: RunLine, score: Double)] = []
        var (metric, verdicts, unjudged) = ("", [JSONRecord](), [URL]())
        for url in files {
            let lines = try RunJudge.lines(of: url)
            guard let first = lines.first else { throw EvaluationError(.format, file: url, "it holds no results yet") }
            try Self.check(lines, against: results.first?.line ?? first, after: results.map(\.line), url)
            guard let benchmark = benchmarks[first.settings.benchmark] else {
                throw EvaluationError(.name, file: url, "there is no way to score '\(first.settings.benchmark)'")
            }
            let result = try await scorer.score(url, benchmark: benchmark, dataset: first.settings.dataset)
            metric = result.metric
            results += zip(lines, result.perSample).map { (line: $0, score: $1) }
            if let own = try JudgedRun.verdicts(of: url, lines: lines) { verdicts += own } else { unjudged.append(url) }
        }
        guard let first = results.first?.line, let benchmark = benchmarks[first.settings.benchmark] else {
            throw EvaluationError(.format, "there is no file to read")
        }
        // Where every line says which sample of the run it is, the order in which they were answered does not matter.
        if results.allSatisfy({ $0.line.index != nil }) { results.sort { $0.line.index! < $1.line.index! } }
        url = files[0]
        self.files = files
        settings = first.settings
        self.benchmark = benchmark
        lines = results.map(\.line)
        self.unjudged = unjudged.count < files.count ? unjudged : []
        let scale = benchmark.scoring.givesPercentages ? 1.0 : 100
        let ids = lines.map(\.identity)
        let parts = try benchmark.scoring.parts?(lines.map(\.record)) ?? []
        let own =
            [EvaluationScore(metric, values: results.map { $0.score * scale }, ids: ids)]
            + parts.map { EvaluationScore($0.name, groups: [$0.shares], ids: ids) }
        ownScores = own.count
        // Verdicts on a part only would be the score of another set of samples.
        if !self.unjudged.isEmpty { verdicts = [] }
        scores =
            try own + JudgedRun.scores(Self.sorted(verdicts, as: lines), of: lines, benchmarks: benchmarks)
    }

    /// Checks that lines belong to a run and are not there yet.
    private static func check(
        _ lines: [RunLine], against first: RunLine, after others: [RunLine], _ url: URL
    ) throws {
        var ids = Set(others.map(\.id))
        for line in lines {
            guard line.settings == first.settings else {
                let differences = line.settings.differences(from: first.settings).joined(separator: "; ")
                throw EvaluationError(
                    .differentRun, file: url, line: line.record.line, "it holds lines of another run: \(differences)")
            }
            guard line.shard?.count == first.shard?.count else {
                let counts = [line, first].map { $0.shard.map { "a shard of \($0.count)" } ?? "no shard" }
                throw EvaluationError(
                    .differentRun, file: url, line: line.record.line, "the line is \(counts[0]), others \(counts[1])")
            }
            guard ids.insert(line.id).inserted else {
                throw line.record.problem("the sample '\(line.id)' is there twice")
            }
        }
    }

    private static func sorted(_ verdicts: [JSONRecord], as lines: [RunLine]) throws -> [JSONRecord] {
        let places = Dictionary(lines.enumerated().map { ($0.element.id, $0.offset) }) { first, _ in first }
        return try verdicts.map { (places[try $0.text("id")] ?? 0, $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

extension EvaluationRun {
    /// Reads result files; those of shards of the same run are one run, which stands where its first file does.
    ///
    /// - Throws: ``EvaluationError`` as reading each run does.
    public static func runs(
        at urls: [URL], benchmarks: BenchmarkRegistry = .standard, scorer: PredictionScorer = PredictionScorer()
    ) async throws -> [EvaluationRun] {
        var groups: [(settings: EvaluationSettings?, files: [URL])] = []
        let firsts = try urls.map { (url: $0, line: try RunJudge.lines(of: $0).first) }
        let hasShards = firsts.contains { $0.line?.shard != nil }
        for (url, first) in firsts {
            // A shard that holds nothing yet is missing, which is said of the others.
            if first == nil, hasShards { continue }
            let settings = first?.shard == nil ? nil : first?.settings
            if let settings, let index = groups.firstIndex(where: { $0.settings == settings }) {
                groups[index].files.append(url)
            } else {
                groups.append((settings, [url]))
            }
        }
        var runs: [EvaluationRun] = []
        for group in groups {
            runs.append(try await EvaluationRun(shards: group.files, benchmarks: benchmarks, scorer: scorer))
        }
        return runs
    }

    /// What it is called where runs are told apart.
    package var name: String {
        files.count == 1 ? url.lastPathComponent : "\(url.lastPathComponent) and \(files.count - 1) more shards"
    }

    /// The scores of a judge; none where there are no verdicts.
    package var verdicts: [EvaluationScore] { Array(scores.dropFirst(ownScores)) }

    /// What is missing of the run, in a sentence; nil if nothing is.
    package var missing: String? {
        guard lines.count < settings.samples else { return nil }
        let start = "\(name) holds \(lines.count) of the \(settings.samples) samples of its run"
        guard let count = lines.first?.shard?.count else { return start + "." }
        let held = Dictionary(grouping: lines.compactMap(\.shard?.number)) { $0 }.mapValues(\.count)
        let shards = (1...count).compactMap { Shard($0, of: count) }.filter { $0.size(of: settings.samples) > 0 }
        let absent = shards.filter { held[$0.number] == nil }.map(\.description)
        let partial = shards.compactMap { shard -> String? in
            guard let has = held[shard.number], has < shard.size(of: settings.samples) else { return nil }
            return "\(shard) holds \(has) of \(shard.size(of: settings.samples))"
        }
        let parts = (absent.isEmpty ? [] : ["missing: \(absent.joined(separator: ", "))"]) + partial
        return start + "; shards \(parts.joined(separator: "; "))."
    }

    /// The calls that made it.
    var commands: [String] {
        lines.compactMap { $0.record.value["command"]?.text }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// What the samples are taken from.
    public var dataset: String {
        settings.benchmark == settings.dataset ? settings.dataset : "\(settings.benchmark) \(settings.dataset)"
    }

    /// The bytes of the largest cache of any sample, a calibration's tables counted.
    public var cacheBytes: Int { lines.compactMap(\.cacheBytes).max() ?? 0 }

    /// The bytes of the cache at the end of an answer, a calibration's tables counted: the mean over the samples.
    public var meanCacheBytes: Int { Self.mean(lines.compactMap(\.cacheBytes)) ?? 0 }

    /// The bytes that the cache of a sample was allowed, the mean over the samples; nil if its capacity was stated.
    public var budgetBytes: Int? { Self.mean(lines.compactMap { $0.record.value["budget_bytes"]?.integer }) }

    /// The entries per KV head that bytes had room for, the mean over the samples; nil if the capacity was stated.
    var meanCapacity: Int? {
        settings.budget == nil ? nil : Self.mean(lines.compactMap { $0.record.value["capacity"]?.integer })
    }

    private static func mean(_ values: [Int]) -> Int? { values.isEmpty ? nil : values.reduce(0, +) / values.count }

    /// The same with intermediate results.
    public var peakBytes: Int { lines.compactMap { $0.record.value["peak_bytes"]?.integer }.max() ?? 0 }

    /// Tokens of an answer, the mean over all, and the share of the answers that ended because their limit of tokens was reached.
    public var answerLengths: (meanTokens: Double, cut: Double) {
        let tokens = lines.reduce(0) { $0 + ($1.record.value["response_tokens"]?.integer ?? 0) }
        let ends = lines.flatMap { $0.record.value["finish"]?.elements ?? [] }
        let cut = ends.count { $0 == .string("length") }
        return (Double(tokens) / Double(max(1, ends.count)), Double(cut) / Double(max(1, ends.count)))
    }

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
            guard let tokens = value["response_tokens"]?.integer, let end = line.cacheBytes,
                let start = value["prompt_cache_bytes"]?.integer
            else { return [] }
            return [(0, start + line.sharedBytes), (tokens, end)]
        }
    }
}

extension RunLine {
    /// Bytes of a calibration's tables; 0 in files of older versions.
    fileprivate var sharedBytes: Int { record.value["shared_bytes"]?.integer ?? 0 }

    /// Bytes of the cache at the end, with these; nil if the line does not say.
    fileprivate var cacheBytes: Int? { record.value["cache_bytes"]?.integer.map { $0 + sharedBytes } }
}
