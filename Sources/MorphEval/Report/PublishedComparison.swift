internal import Foundation
internal import MorphKV

/// The rows of a report beside published figures of the same benchmark.
struct PublishedComparison: Sendable {
    private let cells: [[String]]
    private let sources: [String]

    private static let header = [
        "score", "policy", "ours", "published", "difference", "published model", "published policy", "verdict",
    ]

    init(_ report: EvaluationReport, _ published: PublishedFigures) {
        var cells: [[String]] = []
        var used: [PublishedFigures.Figure] = []
        for (index, row) in report.rows.enumerated() {
            for column in report.columns {
                guard let run = row.runs.first(where: { $0.dataset == column.dataset }),
                    let score = run.scores.first(where: { $0.name == column.score }), let value = score.value
                else { continue }
                for figure in published.figures(for: run, score: column.score) {
                    used.append(figure)
                    let interval = score.interval.map { String(format: " [%.2f, %.2f]", $0.lowerBound, $0.upperBound) }
                    cells.append([
                        "\(column.dataset): \(column.score)", report.name(of: index),
                        String(format: "%.2f", value) + (interval ?? ""), "\(figure.value)",
                        String(format: "%+.2f", value - figure.value), figure.model, figure.policy,
                        Self.verdict(score, run, figure),
                    ])
                }
            }
        }
        self.cells = cells
        sources = used.reduce(into: []) { list, figure in
            let text = "\(figure.benchmark): \(figure.source); \(figure.settings)"
            if !list.contains(text) { list.append(text) }
        }
    }

    /// Whether a figure was reproduced; it says something about the same model under the same policy only.
    private static func verdict(
        _ score: EvaluationScore, _ run: EvaluationRun, _ figure: PublishedFigures.Figure
    ) -> String {
        guard figure.isOf(model: run.settings.model) else { return "another model" }
        let policy = (try? PolicySpecification(parsing: run.settings.policy))?.name ?? run.settings.policy
        guard policy == figure.policy else { return "another policy" }
        guard let interval = score.interval else { return "too few samples" }
        return interval.contains(figure.value) ? "reproduced" : "not reproduced"
    }

    /// The table and where its figures come from, in Markdown.
    var markdown: String {
        guard !cells.isEmpty else { return Self.nothing + "\n" }
        return MarkdownTable(header: Self.header, rows: cells).text + "\n" + notes.map { "- \($0)\n" }.joined()
    }

    /// The same as a part of a page.
    var body: String {
        guard !cells.isEmpty else { return "<p>\(Self.nothing)</p>" }
        let list = notes.map { "<li>\(HTML.escape($0))</li>" }.joined()
        return HTML.table(header: Self.header, rows: cells) + "\n<ul>\(list)</ul>"
    }

    private static let nothing = "There are no published figures for these benchmarks and parts."

    private var notes: [String] {
        let rule = """
            Reproduced: the published figure lies in the 95 % interval of ours, of the same model under the same policy; what \
            else differs is in the settings of both. Published figures are those of the papers' own code, which may count \
            capacities in another way.
            """
        return [rule] + sources.map { "Published: \($0)." }
    }
}
