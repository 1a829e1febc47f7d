public import Foundation

/// The tasks of RULER (arXiv 2404.06654), by the names of its `synthetic.yaml`.
public enum RulerTask: String, Sendable, Hashable, CaseIterable {
    case single1 = "niah_single_1"
    case single2 = "niah_single_2"
    case single3 = "niah_single_3"
    case multikey1 = "niah_multikey_1"
    case multikey2 = "niah_multikey_2"
    case multikey3 = "niah_multikey_3"
    case multivalue = "niah_multivalue"
    case multiquery = "niah_multiquery"
    case variableTracking = "vt"
    case commonWords = "cwe"
    case frequentWords = "fwe"
    case squad = "qa_1"
    case hotpotQA = "qa_2"

    /// The task of a name.
    ///
    /// - Throws: ``EvaluationError`` of kind `name`.
    init(named name: String) throws {
        guard let task = RulerTask(rawValue: name) else {
            throw EvaluationError(.name, "'\(name)' is not a task of RULER; name the right one")
        }
        self = task
    }

    /// The number of tokens that a model writes at most.
    public var maximumNewTokens: Int {
        switch self {
        case .variableTracking: 30
        case .commonWords: 120
        case .frequentWords: 50
        case .squad, .hotpotQA: 32
        default: 128
        }
    }

    /// Whether one of the references is enough; else each counts its share.
    var oneIsEnough: Bool { self == .squad || self == .hotpotQA }
}

/// RULER's files: `TASK/validation.jsonl`, as its `scripts/data/prepare.py` makes them for a tokenizer and a length.
public enum Ruler {
    /// A question.
    public struct Sample: Sendable, Hashable {
        /// The text with the question and, after it, how the answer begins.
        public let prompt: String
        /// What the answer has to name.
        public let outputs: [String]
    }

    /// Reads the questions of a task.
    ///
    /// - Parameters:
    ///   - task: The task.
    ///   - url: The folder that `prepare.py` wrote to (`--save_dir`), or one file.
    public static func samples(of task: RulerTask, at url: URL) throws -> [Sample] {
        let name = task.rawValue
        let places = [
            "\(name)/validation.jsonl", "data/\(name)/validation.jsonl", "\(name)/test.jsonl", "\(name).jsonl",
        ]
        return try DataFile(BenchmarkFolder.file(places, at: url)).lines().map { record in
            let start = try record.has("answer_prefix") ? record.text("answer_prefix") : ""
            return try Sample(prompt: record.text("input") + start, outputs: record.texts("outputs"))
        }
    }

    /// The share of the references that an answer names, in any case of letters: `string_match_all` or, where one is enough,
    /// `string_match_part` of RULER's `scripts/eval`.
    static func score(_ answer: CodePoints, outputs: [CodePoints], oneIsEnough: Bool) -> Double {
        let text = plain(answer).lowercased()
        let found = outputs.count { text.contains($0.lowercased()) }
        guard !outputs.isEmpty else { return 0 }
        return oneIsEnough ? (found > 0 ? 1 : 0) : Double(found) / Double(outputs.count)
    }

    /// An answer as it is looked at: control characters are line breaks.
    private static func plain(_ answer: CodePoints) -> CodePoints {
        CodePoints(scalars: answer.trimmed().scalars.map { $0.value < 0x20 ? "\n" : $0 }).trimmed()
    }
}
