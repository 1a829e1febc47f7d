public import Foundation

/// One problem of GSM8K (arXiv 2110.14168).
public struct GradeSchoolProblem: Sendable, Hashable {
    /// The problem.
    public let question: String
    /// The worked solution, which ends with "#### " and the number.
    public let answer: String

    /// Everything but the last sentence as context, and that sentence as question, as KVzip splits problems.
    public var sharedContext: SharedContextSample {
        let sentences = CodePoints(question).split(separator: ". ")
        let context = CodePoints(sentences.dropLast().map(\.string).joined(separator: ". ")).trimmed()
        let last = sentences.last?.trimmed().string ?? ""
        return SharedContextSample(context: context.string + ".", questions: [.init(last, answers: [answer])])
    }
}

/// GSM8K's files: `grade_school_math/data/test.jsonl` of openai/grade-school-math.
public enum GradeSchoolMath {
    /// Reads the problems.
    ///
    /// - Parameter url: A clone of the repository, its `data` folder, or a file.
    public static func problems(at url: URL) throws -> [GradeSchoolProblem] {
        let file = try BenchmarkFolder.file(
            ["grade_school_math/data/test.jsonl", "data/test.jsonl", "test.jsonl"], at: url)
        return try DataFile(file).lines().map { record in
            try GradeSchoolProblem(question: record.text("question"), answer: record.text("answer"))
        }
    }

    /// The problems that KVzip asks: those whose context has 72 tokens or more.
    public static func sharedContexts(
        _ problems: [GradeSchoolProblem], tokenCount: (String) throws -> Int
    ) rethrows -> [SharedContextSample] {
        try problems.map(\.sharedContext).filter { try tokenCount($0.context) >= 72 }
    }
}
