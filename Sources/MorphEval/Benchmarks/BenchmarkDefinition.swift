package import Foundation

/// How the samples of a benchmark are made from its files. A new benchmark is one value of this type and one row of
/// ``BenchmarkSource/all``.
package struct BenchmarkSource: Sendable {
    /// What the user asked for.
    package struct Request: Sendable {
        /// A clone of the benchmark's repository, a folder of it, or a file.
        package var data: URL
        /// Which part of the benchmark.
        package var dataset: String
        /// How many samples of each type, where a benchmark has types; all by default.
        package var samplesPerType: Int?
        /// The lengths of the haystacks in tokens.
        package var lengths: [Int] = []
        /// The depths of the needles in percent.
        package var depths: [Double] = []

        /// Creates a request.
        package init(data: URL, dataset: String) {
            self.data = data
            self.dataset = dataset
        }
    }

    /// The name on the command line.
    package let name: String
    /// What it is, and what the data has to be, in one line.
    package let summary: String
    /// The names of its parts; empty if they cannot be listed.
    package let datasets: [String]
    /// The part that is meant where none is named; `nil` if one has to be named.
    package let defaultDataset: String?
    /// Reads the samples. The codec is the tokenizer of the model.
    package let samples: @Sendable (Request, _ codec: TokenCodec) throws -> [EvaluationSample]

    /// Describes a benchmark.
    package init(
        name: String, summary: String, datasets: [String], defaultDataset: String?,
        samples: @escaping @Sendable (Request, _ codec: TokenCodec) throws -> [EvaluationSample]
    ) {
        self.name = name
        self.summary = summary
        self.datasets = datasets
        self.defaultDataset = defaultDataset
        self.samples = samples
    }

    /// Every benchmark that can be run.
    package static let all: [BenchmarkSource] = [
        .longBench, .longWriter, .longGenBench, .squad, .needle, .sharedContexts, .gradeSchoolMath,
    ]

    /// The benchmark of a name.
    ///
    /// - Throws: ``EvaluationError`` of kind `name` that lists what there is.
    package static func named(_ name: String) throws -> BenchmarkSource {
        guard let source = all.first(where: { $0.name == name }) else {
            let names = all.map(\.name).joined(separator: ", ")
            throw EvaluationError(.name, "there is no benchmark '\(name)'; there are: \(names)")
        }
        return source
    }

    /// The part that the user named, or the default.
    ///
    /// - Throws: ``EvaluationError`` of kind `name` that lists what there is.
    package func dataset(named name: String?) throws -> String {
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
