internal import Foundation
internal import MorphKV

/// Figures of papers and repositories, with the source, the model and the settings that they name: `published.json`.
public struct PublishedFigures: Sendable {
    /// One figure.
    public struct Figure: Sendable, Hashable {
        /// Who published it, and where.
        public let source: String
        /// The benchmark's name here.
        public let benchmark: String
        /// The part of the benchmark, or ``PublishedFigures/mean``.
        public let dataset: String
        /// The score's name here; `nil` for the benchmark's own.
        public let score: String?
        /// How it was measured, as far as the source says.
        public let settings: String
        /// The model as the source names it.
        public let model: String
        /// The policy by its name here, with the parameters that the source states in words of ours: "morphkv",
        /// "kvzip:ratio=0.3".
        public let policy: String
        /// In percent.
        public let value: Double
        /// What a file of this model has in its name, of which letters and digits count only.
        let match: String

        /// Whether a file holds this model, by its name.
        func isOf(model file: String) -> Bool {
            CodePoints(file).lowercased().removing { !$0.isASCIILetter && !$0.isASCIIDigit }.contains(CodePoints(match))
        }

        /// Whether a run's policy is this one: of the same name, and the same in all that the source states.
        func isOf(policy text: String) -> Bool {
            guard let own = try? PolicySpecification(parsing: policy),
                let run = try? PolicySpecification(parsing: text), run.name == own.name
            else { return false }
            let descriptor = try? PolicyRegistry.standard.descriptor(named: run.name)
            return own.arguments.allSatisfy { argument in
                (run[argument.name] ?? descriptor?.parameter(argument.name)?.defaultValue) == argument.value
            }
        }
    }

    /// The `dataset` of figures that are the mean over all parts of a benchmark, each part counting alike.
    public static let mean = "mean"

    /// All of them, in the order of the file.
    public let figures: [Figure]

    /// Those that come with this package.
    ///
    /// - Throws: ``EvaluationError`` if the file that is built in is damaged.
    public init() throws {
        try self.init(
            DataFile(URL(fileURLWithPath: "published.json"), bytes: Data(PackageResources.published_json)).document())
    }

    private init(_ document: JSONRecord) throws {
        figures = try document.elements().flatMap { table in
            let columns = try table.list("columns")
            return try table.list("rows").flatMap { row in
                let values = try row.list("values")
                guard values.count == columns.count else {
                    throw row.problem("it has \(values.count) values for \(columns.count) columns")
                }
                return try zip(columns, values).compactMap { column, value -> Figure? in
                    guard let number = value.value.double else { return nil }
                    return try Figure(
                        source: table.text("source"), benchmark: table.text("benchmark"),
                        dataset: column.text("dataset"), score: column.has("score") ? column.text("score") : nil,
                        settings: table.text("settings"), model: row.text("model"), policy: row.text("policy"),
                        value: number, match: row.text("match"))
                }
            }
        }
    }

    /// Those of a run's benchmark, part and score: of its model if there are some, else of all models.
    func figures(for run: EvaluationRun, score: String) -> [Figure] {
        ofModel(run) { $0.dataset == run.settings.dataset && ($0.score ?? run.scores.first?.name) == score }
    }

    /// Those of the mean over a run's benchmark: of its model if there are some, else of all models.
    func means(for run: EvaluationRun) -> [Figure] { ofModel(run) { $0.dataset == Self.mean } }

    private func ofModel(_ run: EvaluationRun, _ isWanted: (Figure) -> Bool) -> [Figure] {
        let same = figures.filter { $0.benchmark == run.settings.benchmark && isWanted($0) }
        let own = same.filter { $0.isOf(model: run.settings.model) }
        return own.isEmpty ? same : own
    }
}
