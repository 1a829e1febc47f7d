public import Foundation

/// What a benchmark is: where its samples come from, how answers are scored and, where it has one, what a judge is asked.
///
/// A new benchmark is one value of this type, and one row of ``BenchmarkRegistry/standard`` or of a registry of its own.
public struct BenchmarkDefinition: Sendable {
    /// Which samples the user asked for.
    public struct Request: Sendable {
        /// A clone of the benchmark's repository, a folder of it, or a file.
        public var data: URL
        /// Which part of the benchmark.
        public var dataset: String
        /// How many samples of each type, where a benchmark has types; all by default.
        public var samplesPerType: Int?
        /// The lengths of the haystacks in tokens.
        public var lengths: [Int] = []
        /// The depths of the needles in percent.
        public var depths: [Double] = []

        /// Creates a request.
        public init(data: URL, dataset: String) {
            self.data = data
            self.dataset = dataset
        }
    }

    /// The name on the command line and in result files.
    public let name: String
    /// What it is, and what the data has to be, in one line.
    public let summary: String
    /// The names of its parts; empty if they cannot be listed.
    public let datasets: [String]
    /// The part that is meant where none is named; `nil` if one has to be named.
    public let defaultDataset: String?
    /// How answers are scored.
    public let scoring: BenchmarkScoring
    /// Reads the samples. The codec is the tokenizer of the model.
    public let samples: @Sendable (Request, _ codec: TokenCodec) throws -> [EvaluationSample]

    /// Whether samples are generated, so that ``Request/data`` is not looked at.
    package var isGenerated = false
    /// Whether samples have types, of which ``Request/samplesPerType`` takes so many each.
    package var hasTypes = false
    /// What a judge is asked about the answers; `nil` if there is nothing to ask.
    package var judging: BenchmarkJudging?
    /// A drawing of a run that only this benchmark has.
    package var heatMap: (@Sendable (EvaluationRun) -> HeatMap?)?

    /// Describes a benchmark.
    ///
    /// - Parameters:
    ///   - name: The name on the command line and in result files.
    ///   - summary: What it is, and what the data has to be, in one line.
    ///   - datasets: The names of its parts; empty if they cannot be listed.
    ///   - defaultDataset: The part that is meant where none is named; `nil` if one has to be named.
    ///   - scoring: How answers are scored.
    ///   - samples: Reads the samples, in an order that is always the same.
    public init(
        name: String, summary: String, datasets: [String], defaultDataset: String?, scoring: BenchmarkScoring,
        samples: @escaping @Sendable (Request, _ codec: TokenCodec) throws -> [EvaluationSample]
    ) {
        self.name = name
        self.summary = summary
        self.datasets = datasets
        self.defaultDataset = defaultDataset
        self.scoring = scoring
        self.samples = samples
    }

    /// The part that the user named, or the default.
    ///
    /// - Throws: ``EvaluationError`` of kind `name` that lists what there is.
    public func dataset(named name: String?) throws -> String {
        guard let chosen = name ?? defaultDataset else {
            throw EvaluationError(.name, "\(self.name) has several datasets; name one of: \(datasetList)")
        }
        guard datasets.isEmpty || datasets.contains(chosen) else {
            throw EvaluationError(.name, "\(self.name) has no dataset '\(chosen)'; there are: \(datasetList)")
        }
        return chosen
    }

    private var datasetList: String { datasets.joined(separator: ", ") }
}
