package import Foundation

/// What a benchmark asks of a judge.
package struct BenchmarkJudging: Sendable {
    /// What to say where the judge needs data of the benchmark and none is named; `nil` if it needs none.
    package let missingData: String?
    /// How answers are put to a judge. The data is a clone of the benchmark's repository or a file, where it needs one.
    package let task: @Sendable (_ data: URL?) throws -> any VerdictTask
    /// The numbers that the verdicts on a run give, in percent.
    let scores: @Sendable (_ verdicts: [JSONRecord]) throws -> [EvaluationScore]
}

/// How the answers of a benchmark are put to a judge, and what its replies mean.
package protocol VerdictTask: Sendable {
    /// The questions about one result, none where the judge has nothing to do.
    func questions(about line: RunLine) throws -> [JudgeQuestion]
    /// Has results judged: for each, what its verdict says.
    ///
    /// - Parameter progress: is told after each answer how many there are, and the number of questions.
    func verdicts(
        on lines: [RunLine], by panel: JudgePanel, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
    ) async throws -> [[JSONMember]]
}
