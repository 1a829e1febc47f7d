internal import Foundation

/// Every row of a report against one of them, on the same samples.
struct BaseComparison: Sendable {
    /// One score of one row against that of the base.
    struct Entry: Sendable {
        let row: Int
        let column: EvaluationReport.Column
        let comparison: PairedComparison
        /// The sign test's probability, adjusted for all entries.
        let probability: Double
        var verdict: PairedComparison.Verdict { comparison.verdict(probability) }
    }

    /// The row that the others are compared with.
    let base: Int
    let entries: [Entry]

    init(_ report: EvaluationReport, base: Int) {
        self.base = base
        var found: [(row: Int, column: EvaluationReport.Column, comparison: PairedComparison)] = []
        for row in report.rows.indices where row != base {
            for column in report.columns {
                guard let own = report.score(report.rows[row], column),
                    let other = report.score(report.rows[base], column),
                    let comparison = PairedComparison(own, against: other)
                else { continue }
                found.append((row, column, comparison))
            }
        }
        let adjusted = PairedComparison.adjusted(found.map(\.comparison.signTest))
        entries = zip(found, adjusted).map {
            Entry(row: $0.row, column: $0.column, comparison: $0.comparison, probability: $1)
        }
    }

    /// A mark for a cell of the table; empty where nothing is compared.
    func mark(_ row: Int, _ column: EvaluationReport.Column) -> String {
        switch entries.first(where: { $0.row == row && $0.column == column })?.verdict {
        case .better: " ▲"
        case .worse: " ▼"
        case .notCertain: " ≈"
        case nil: ""
        }
    }

    static let header = [
        "policy", "score", "difference", "95 % interval", "samples", "better", "worse", "sign test", "adjusted",
        "verdict",
    ]

    func cells(_ report: EvaluationReport) -> [[String]] {
        entries.map { entry in
            let comparison = entry.comparison
            let interval = comparison.interval.map { String(format: "%+.2f to %+.2f", $0.lowerBound, $0.upperBound) }
            return [
                report.name(of: entry.row), "\(entry.column.dataset): \(entry.column.score)",
                String(format: "%+.2f", comparison.difference), interval ?? "", "\(comparison.samples)",
                "\(comparison.better)", "\(comparison.worse)", Self.probability(comparison.signTest),
                Self.probability(entry.probability), entry.verdict.rawValue,
            ]
        }
    }

    private static func probability(_ value: Double) -> String {
        value < 0.0001 ? "< 0.0001" : String(format: "%.4f", value)
    }

    func notes(_ report: EvaluationReport) -> [String] {
        [
            """
            ▲ better, ▼ worse, ≈ not certain: against \(report.name(of: base)) on the same samples. A difference is certain \
            if its 95 % interval (paired bootstrap: the same questions drawn for both, \(EvaluationScore.resamples) resamples, \
            fixed seed) leaves out 0, and the exact two-sided sign test over questions, adjusted for all \(entries.count) \
            comparisons (Holm), is below 0.05 in the same direction.
            """
        ]
    }
}
