public import Foundation

/// LongBench v2 (arXiv 2412.15204): questions with four choices about texts of 8,000 to two million words.
public enum LongBench2 {
    /// A question.
    public struct Sample: Sendable, Hashable {
        /// Its identifier, `_id`.
        public let id: String
        /// The text and the question, in the words of `prompts/0shot.txt`.
        public let prompt: String
        /// The letter of the right choice.
        public let answer: String
        /// `easy` or `hard`.
        public let difficulty: String
        /// `short`, `medium` or `long`.
        public let length: String
    }

    /// Reads the questions.
    ///
    /// - Parameter url: `data.json` of Hugging Face `THUDM/LongBench-v2`, its lines, or the folder with it.
    public static func samples(at url: URL) throws -> [Sample] {
        try DataFile(BenchmarkFolder.file(["data.json", "data.jsonl"], at: url)).records().map { record in
            func part(_ name: String) throws -> String { CodePoints(try record.text(name)).trimmed().string }
            let choices = try ["A", "B", "C", "D"].map { "(\($0)) \(try part("choice_\($0)"))" }
            let prompt = """
                Please read the following text and answer the question below.

                <text>
                \(try part("context"))
                </text>

                What is the correct answer to this question: \(try part("question"))
                Choices:
                \(choices.joined(separator: "\n"))

                Format your response as follows: "The correct answer is (insert answer here)".
                """
            return try Sample(
                id: record.text("_id"), prompt: prompt, answer: record.text("answer"),
                difficulty: record.text("difficulty"), length: record.text("length"))
        }
    }

    /// The letter that a response chooses, in parentheses if any is, as `extract_answer` of `pred.py` finds it.
    static func choice(in response: CodePoints) -> Unicode.Scalar? {
        let plain = response.trimmed().removing { $0 == "*" }
        return choice(in: plain, after: "The correct answer is (", before: ")")
            ?? choice(in: plain, after: "The correct answer is ", before: "")
    }

    private static func choice(in text: CodePoints, after start: CodePoints, before end: CodePoints) -> Unicode.Scalar?
    {
        var position = text.scalars.startIndex
        while let found = text.firstRange(of: start, from: position) {
            let rest = text.scalars[found.upperBound...]
            if let letter = rest.first, ("A"..."D").contains(letter), rest.dropFirst().starts(with: end.scalars) {
                return letter
            }
            position = found.lowerBound + 1
        }
        return nil
    }
}
