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
    private let segmenter: any ChineseSegmenter
    private let finder: any FunctionFinder

    /// Creates a scorer.
    ///
    /// - Parameters:
    ///   - segmenter: Splits Chinese texts into words.
    ///   - finder: Finds functions in code blocks.
    public init(
        segmenter: any ChineseSegmenter = JiebaSegmenter(), finder: any FunctionFinder = TreeSitterFunctionFinder()
    ) {
        self.segmenter = segmenter
        self.finder = finder
    }

    /// Scores one file.
    ///
    /// - Parameters:
    ///   - file: The predictions.
    ///   - benchmark: What they answer.
    ///   - dataset: The dataset; by default, where a benchmark has several to name, what the file says itself, or the part of its
    ///     name before "_ws", or the name without extension.
    ///   - metric: The name of a metric, where a benchmark has several; by default its first.
    /// - Throws: ``EvaluationError`` that names the file and, where it can, the line.
    public func score(
        _ file: URL, benchmark: BenchmarkDefinition, dataset: String? = nil, metric: String? = nil
    ) async throws -> PredictionScore {
        let records = try DataFile(file).records()
        let own = records.first?.value["run"]?["dataset"]?.text ?? Self.datasetName(of: file)
        let predictions = PredictionSet(
            records: records, dataset: dataset ?? (benchmark.defaultDataset == nil ? own : benchmark.name),
            metricName: metric, metrics: benchmark.scoring.metrics, segmenter: segmenter, finder: finder)
        do {
            let (metric, perSample) = try await benchmark.scoring.scores(predictions)
            return PredictionScore(
                dataset: predictions.dataset, metric: metric, perSample: perSample,
                inPercent: benchmark.scoring.givesPercentages)
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
}
