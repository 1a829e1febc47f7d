public import Foundation

/// Scores files of predictions, ours and those published with MorphKV.
///
/// | benchmark | fields of a line |
/// |---|---|
/// | LongBench | `pred`, `answers`, for classification `all_classes` |
/// | LongWriter | `length`, `response_length` or `response` |
/// | LongGenBench | the task's own fields and `response`, or a JSON list of results with `output_blocks` |
/// | SQuAD, GSM8K, needle | `pred`, `answers`; or `preds` and one entry of `answers` for each |
/// | SCBench | `preds`, `answers`; where tasks need them `task`, `func_name` and `lang` |
public struct PredictionScorer: Sendable {
    let segmenter: any ChineseSegmenter
    let repositories: RepositoryScorer

    /// Creates a scorer.
    ///
    /// - Parameters:
    ///   - segmenter: Splits Chinese texts into words.
    ///   - finder: Finds functions in code blocks.
    public init(
        segmenter: any ChineseSegmenter = JiebaSegmenter(), finder: any FunctionFinder = TreeSitterFunctionFinder()
    ) {
        self.segmenter = segmenter
        repositories = RepositoryScorer(finder: finder)
    }

    /// Scores one file.
    ///
    /// - Parameters:
    ///   - file: The predictions.
    ///   - benchmark: What they answer.
    ///   - dataset: The dataset; by default what the file says itself, or the part of its name before "_ws", or the name without
    ///     extension.
    ///   - metric: The name of a metric, where a benchmark has several; by default its first.
    public func score(
        _ file: URL, benchmark: Benchmark, dataset: String? = nil, metric: String? = nil
    ) async throws -> ScoreResult {
        let records = try DataFile(file).records()
        let own = records.first?.value["run"]?["dataset"]?.text ?? Self.datasetName(of: file)
        do {
            switch benchmark {
            case .longBench:
                return try await scoreLongBench(records, dataset: dataset ?? own, metric: metric)
            case .longWriter: return try scoreLongWriter(records, dataset: dataset)
            case .longGenBench: return try scoreLongGenBench(records, dataset: dataset)
            case .squad, .gsm8k, .needle:
                return try await scoreQuestions(records, benchmark, dataset: dataset, metric: metric)
            case .scBench:
                return try await scoreSharedContexts(records, dataset: dataset ?? own)
            }
        } catch let error as EvaluationError where error.file == nil {
            throw EvaluationError(error.kind, file: file, error.problem)
        }
    }

    /// The dataset that a file of predictions is named after: the part of its name before "_ws", or all of it without
    /// the extension.
    public static func datasetName(of file: URL) -> String {
        let name = file.deletingPathExtension().lastPathComponent
        guard let end = name.range(of: "_ws") else { return name }
        return String(name[..<end.lowerBound])
    }

    /// A metric that was asked for by name, or the one of the dataset.
    func metric(named name: String?, default standard: Metric) throws -> Metric {
        guard let name else { return standard }
        guard let metric = Metric.named(name) else {
            let known = Metric.all.map(\.name).joined(separator: ", ")
            throw EvaluationError(.name, "there is no metric '\(name)'; the metrics are \(known)")
        }
        return metric
    }
}
