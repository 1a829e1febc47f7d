public import Foundation

/// LongBench as published: prompts and lengths in `config/*.json`, samples in `data/<dataset>.jsonl`.
public struct LongBench: Sendable {
    private let folder: URL
    private let templates: [String: PromptTemplate]
    private let lengths: [String: Int]
    private let contexts: [String: Int]

    /// Reads the configuration.
    ///
    /// - Parameter folder: A clone of THUDM/LongBench, its `LongBench` folder, or a folder with the configuration's files.
    public init(at folder: URL) throws {
        self.folder = folder
        templates = try Self.configuration("dataset2prompt", at: folder).reduce(into: [:]) { templates, entry in
            templates[entry.name] = try PromptTemplate(entry.record.text(entry.name))
        }
        lengths = try Self.configuration("dataset2maxlen", at: folder).reduce(into: [:]) {
            $0[$1.name] = try $1.record.integer($1.name)
        }
        contexts = try Self.configuration("model2maxlen", at: folder).reduce(into: [:]) {
            $0[$1.name] = try $1.record.integer($1.name)
        }
    }

    /// The number of tokens that a model generates at most for a dataset.
    public func maximumNewTokens(of dataset: LongBenchDataset) throws -> Int {
        guard let length = lengths[dataset.rawValue] else { throw missing(dataset, in: "dataset2maxlen.json") }
        return length
    }

    /// The prompt lengths that LongBench sets for the models it names; others take their own context length.
    public var maximumPromptTokensOfModel: [String: Int] { contexts }

    /// The prompt of a sample, neither truncated nor put into a chat template.
    public func prompt(for sample: LongBenchSample) throws -> String {
        guard let template = templates[sample.dataset.rawValue] else {
            throw missing(sample.dataset, in: "dataset2prompt.json")
        }
        return try template.filled(with: ["context": sample.context, "input": sample.input])
    }

    /// The samples of a dataset.
    ///
    /// - Parameters:
    ///   - dataset: One of the 21.
    ///   - file: A file of samples; by default the dataset's own below the folder.
    public func samples(of dataset: LongBenchDataset, file: URL? = nil) throws -> [LongBenchSample] {
        let name = dataset.rawValue
        let places = ["data/\(name).jsonl", "LongBench/data/\(name).jsonl", "\(name).jsonl"]
        let url = try file ?? BenchmarkFolder.file(places, at: folder)
        return try DataFile(url).lines().map { try LongBenchSample($0, dataset: dataset) }
    }

    private static func configuration(
        _ name: String, at folder: URL
    ) throws -> [(name: String, record: JSONRecord)] {
        let places = ["LongBench/config", "config", "."].map { "\($0)/\(name).json" }
        let record = try DataFile(BenchmarkFolder.file(places, at: folder)).document()
        guard let members = record.value.members else { throw record.problem("it holds \(record.value.kind)") }
        return members.map { ($0.name, record) }
    }

    private func missing(_ dataset: LongBenchDataset, in file: String) -> EvaluationError {
        EvaluationError(.name, file: folder, "\(file) has no entry for \(dataset.rawValue)")
    }
}

/// One question of LongBench.
public struct LongBenchSample: Sendable, Hashable {
    /// Where it comes from.
    public let dataset: LongBenchDataset
    /// Its identifier, `_id`; empty where the file has none.
    public let id: String
    /// The question, or what comes after the context.
    public let input: String
    /// The long text that the question is about.
    public let context: String
    /// The answers that count as right.
    public let answers: [String]
    /// The length of the sample in words or, in Chinese, characters.
    public let length: Int
    /// All class names, for the classification datasets.
    public let classes: [String]

    init(_ record: JSONRecord, dataset: LongBenchDataset) throws {
        self.dataset = dataset
        id = record.value["_id"]?.text ?? ""
        input = try record.text("input")
        context = try record.text("context")
        answers = try record.texts("answers")
        length = try record.integer("length")
        classes = try record.optionalTexts("all_classes")
    }
}
