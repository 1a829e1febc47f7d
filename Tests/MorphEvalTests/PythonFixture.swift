import Foundation
import Testing

@testable import MorphEval

/// What the published Python code makes of many texts; `Fixtures/generate.py` and `Fixtures/answers.py` wrote it.
struct PythonFixture: Sendable {
    struct Case: Sendable {
        let metric: String
        let prediction: String
        let reference: String
        let classes: [String]
        /// `nil` where the published code fails on an index.
        let score: Double?
    }

    struct Text: Sendable {
        let text: String
        let words: [String]
        let trimmed: String
        let lower: String
        let line: String
        let digits: [String]
        let runs: [String]
        let dots: [String]
        let count: Int
    }

    let cases: [Case]
    let texts: [Text]
    let segmented: [(text: String, words: [String])]
    let functions: [(candidate: String, reference: String, similarity: Double)]
    let fences: [(text: String, blocks: [String])]
    /// Answers to RULER's tasks.
    let named: [(task: String, answer: String, outputs: [String], score: Double)]
    /// Responses to LongBench v2, and the letter that is read out of each.
    let letters: [(response: String, letter: String?)]
    private let root: JSONRecord

    static let shared = Result { try PythonFixture() }

    private init() throws {
        let file = try #require(Bundle.module.url(forResource: "metrics", withExtension: "json"))
        root = try DataFile(file).document()
        let answersFile = try #require(Bundle.module.url(forResource: "answers", withExtension: "json"))
        let answers = try DataFile(answersFile).document()
        cases = try (root.list("cases") + answers.list("cases")).map { record in
            try Case(
                metric: record.text("m"), prediction: Self.text(record, "p"), reference: Self.text(record, "r"),
                classes: record.optionalTexts("c"), score: #require(record.value["s"]).number)
        }
        texts = try root.list("texts").map { record in
            try Text(
                text: record.text("t"), words: record.texts("words"), trimmed: record.text("trimmed"),
                lower: record.text("lower"), line: record.text("line"), digits: record.texts("digits"),
                runs: record.texts("runs"), dots: record.texts("dots"), count: record.integer("count"))
        }
        named = try answers.list("ruler").map { record in
            try (record.text("task"), record.text("p"), record.texts("outputs"), record.double("s"))
        }
        letters = try answers.list("letters").map { record in
            try (record.text("p"), record.value["letter"]?.text)
        }
        segmented = try Self.pairs(root, "segmented")
        fences = try Self.pairs(root, "fences")
        functions = try root.list("functions").map { record in
            let parts = try #require(record.value.elements)
            return try (#require(parts[0].text), #require(parts[1].text), #require(parts[2].number))
        }
    }

    /// Code points as closed ranges.
    func scalars(_ name: String) throws -> Set<UInt32> {
        try root.list(name).reduce(into: []) { found, record in
            let bounds = try #require(record.value.elements).compactMap(\.integer)
            found.formUnion(UInt32(bounds[0])...UInt32(bounds[1]))
        }
    }

    private static func pairs(_ root: JSONRecord, _ name: String) throws -> [(String, [String])] {
        try root.list(name).map { record in
            let parts = try #require(record.value.elements)
            return try (#require(parts[0].text), #require(parts[1].elements).compactMap(\.text))
        }
    }

    /// A text, or a list of pieces and how often each is repeated.
    private static func text(_ record: JSONRecord, _ name: String) throws -> String {
        guard let pieces = record.value[name]?.elements else { return try record.text(name) }
        return try pieces.reduce(into: "") { text, piece in
            let parts = try #require(piece.elements)
            text += String(repeating: try #require(parts[0].text), count: try #require(parts[1].integer))
        }
    }
}

extension PythonFixture {
    /// The words of every Chinese text of the fixture, so that Chinese metrics are tested without Python.
    func segmentation() -> Segmentation {
        segmented.reduce(into: Segmentation()) { segmentation, entry in
            segmentation.add(CodePoints(entry.text), words: entry.words.map(CodePoints.init(_:)))
        }
    }
}

extension JSONValue {
    /// A number of either kind.
    var number: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }
}
