public import Foundation

/// GPQA (arXiv 2311.12022): questions of graduate level with four choices, whose order simple-evals draws by a seed.
public enum GPQA {
    /// A question with its choices in the order in which they are shown.
    public struct Sample: Sendable, Hashable {
        /// The question.
        public let question: String
        /// The choices A to D.
        public let choices: [String]
        /// The letter of the right choice.
        public let answer: String

        /// The prompt of simple-evals (`QUERY_TEMPLATE_MULTICHOICE`).
        public var prompt: String {
            """
            Answer the following multiple choice question. The last line of your response should be of the following format: \
            'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.

            \(question)

            A) \(choices[0])
            B) \(choices[1])
            C) \(choices[2])
            D) \(choices[3])
            """
        }
    }

    /// Reads the questions, as often as they are asked: each time with the choices in another order.
    ///
    /// - Parameters:
    ///   - url: `gpqa_diamond.csv` or another of its files.
    ///   - rounds: how often all questions are asked, one round after the other.
    public static func samples(at url: URL, rounds: Int) throws -> [Sample] {
        let rows = try CommaSeparatedFile(url).rows
        let columns = ["Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]
        var random = MersenneTwister(seed: 0)
        return try (0..<rounds * rows.count).map { place in
            let row = rows[place % rows.count]
            let texts = try (["Question"] + columns).map { name in
                guard let text = row[name] else {
                    throw EvaluationError(.format, file: url, "it has no column '\(name)'")
                }
                return text
            }
            let choices = random.permutation(4).map { texts[1 + $0] }
            // Of equal choices the first is the right one, as the published code looks for it.
            let right = choices.firstIndex { CodePoints($0) == CodePoints(texts[1]) } ?? 0
            return Sample(question: texts[0], choices: choices, answer: ["A", "B", "C", "D"][right])
        }
    }

    /// What stands as the letter in the first "Answer: X" (`ANSWER_PATTERN_MULTICHOICE`), in the case in which it was written.
    static func choice(in response: CodePoints) -> Unicode.Scalar? {
        let scalars = response.scalars
        for start in scalars.indices where isWord("answer", at: start, of: scalars) {
            var rest = scalars[(start + 6)...].drop(while: isBlank)
            guard rest.popFirst() == ":" else { continue }
            rest = rest.drop(while: isBlank)
            if rest.first == "$" { rest.removeFirst() }
            if let letter = rest.first, ("A"..."D").contains(letter) || ("a"..."d").contains(letter) { return letter }
        }
        return nil
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

    /// Whether a word of small letters is there in any case, where Python lets the long s be an s too.
    private static func isWord(_ word: String, at start: Int, of scalars: ArraySlice<Unicode.Scalar>) -> Bool {
        let found = scalars[start...].prefix(word.count).map { $0 == "\u{17F}" ? "s" : $0.properties.lowercaseMapping }
        return found.joined() == word
    }
}
