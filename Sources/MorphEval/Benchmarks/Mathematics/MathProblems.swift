internal import Foundation

/// A problem with one short answer.
public struct MathProblem: Sendable, Hashable {
    /// The problem, in LaTeX.
    public let problem: String
    /// The answer, in LaTeX.
    public let answer: String

    /// Reads problems from lines or a list, under any of the names that copies of these benchmarks give the fields.
    ///
    /// - Parameters:
    ///   - candidates: What the file is called.
    ///   - url: The file, or its folder.
    static func problems(_ candidates: [String], at url: URL) throws -> [MathProblem] {
        try DataFile(BenchmarkFolder.file(candidates, at: url)).records().map { record in
            try MathProblem(
                problem: first(of: ["problem", "Problem", "question"], in: record),
                answer: first(of: ["answer", "Answer"], in: record))
        }
    }

    private static func first(of names: [String], in record: JSONRecord) throws -> String {
        let name = names.first(where: record.has) ?? names[0]
        guard let text = record.value[name]?.plainText else { return try record.text(name) }
        return text
    }

    /// The problem, and how the answer is to be marked, in the words that DeepSeek-R1's model card recommends for mathematics.
    var prompt: EvaluationPrompt {
        EvaluationPrompt(
            problem + "\nPlease reason step by step, and put your final answer within \\boxed{}.",
            usesChatTemplate: true)
    }
}
