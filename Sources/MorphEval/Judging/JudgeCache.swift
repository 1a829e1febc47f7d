package import Foundation

/// The answers of judges, kept in a file, so that no question is asked and paid for twice.
package actor JudgeCache {
    private let file: JSONLinesFile
    private var answers: [String: String]

    /// Opens the file of answers, or creates it.
    ///
    /// - Throws: ``EvaluationError`` if it cannot be opened or is of another kind.
    package init(_ url: URL) throws {
        let file = try JSONLinesFile(url, lineStart: #"{"key":""#)
        answers = try file.records.reduce(into: [:]) { answers, line in
            answers[try line.text("key")] = try line.text("answer")
        }
        self.file = file
    }

    func answer(of key: String) -> String? { answers[key] }

    func store(_ answer: String, of key: String, judge: String) throws {
        try file.append(
            .object([JSONMember](["key": .string(key), "judge": .string(judge), "answer": .string(answer)])))
        answers[key] = answer
    }
}
