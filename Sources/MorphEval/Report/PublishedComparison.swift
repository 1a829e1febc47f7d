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
            func add(_ name: String, _ ours: Ours, _ run: EvaluationRun, _ figures: [PublishedFigures.Figure]) {
                for figure in figures {
                    used.append(figure)
                    cells.append([
                        name, report.name(of: index), ours.text, "\(figure.value)",
                        String(format: "%+.2f", ours.value - figure.value), figure.model, figure.policy,
                        Self.verdict(ours, run, figure),
                    ])
                }
            }
            for column in report.columns {
                guard let run = row.runs.first(where: { $0.dataset == column.dataset }),
                    let score = run.scores.first(where: { $0.name == column.score }), let ours = Ours(score)
                else { continue }
                let figures = published.figures(for: run, score: column.score)
                add("\(column.dataset): \(column.score)", ours, run, figures)
            }
            if let run = row.runs.first, let ours = Ours(meanOf: row.runs) {
                add("mean of \(row.runs.count) parts", ours, run, published.means(for: run))
            }
        }
        self.cells = cells
        sources = used.reduce(into: []) { list, figure in
            let text = "\(figure.benchmark): \(figure.source); \(figure.settings)"
            if !list.contains(text) { list.append(text) }
        }
    }

    /// A score of a run, or the mean of a benchmark's parts.
    private struct Ours {
        let value: Double
        let interval: ClosedRange<Double>?

        init?(_ score: EvaluationScore) {
            guard let value = score.value else { return nil }
            self.value = value
            interval = score.interval
        }

        /// The mean of the runs' first scores; nil unless they are all parts of their benchmark. Parts are drawn independently of
        /// each other, so half an interval is the root of the sum of the squares of theirs over their number.
        init?(meanOf runs: [EvaluationRun]) {
            guard let benchmark = try? BenchmarkRegistry.standard.benchmark(runs[0].settings.benchmark),
                benchmark.datasets.count > 1, Set(runs.map(\.settings.dataset)) == Set(benchmark.datasets)
            else { return nil }
            let parts = runs.compactMap { $0.scores.first.flatMap(Ours.init) }
            guard parts.count == runs.count else { return nil }
            let count = Double(parts.count)
            value = parts.reduce(0) { $0 + $1.value } / count
            let squares = parts.compactMap { part in
                part.interval.map { ($0.upperBound - $0.lowerBound) * ($0.upperBound - $0.lowerBound) / 4 }
            }
            let half = squares.reduce(0, +).squareRoot() / count
            interval = squares.count == parts.count ? value - half...value + half : nil
        }

        var text: String {
            let bounds = interval.map { String(format: " [%.2f, %.2f]", $0.lowerBound, $0.upperBound) }
            return String(format: "%.2f", value) + (bounds ?? "")
        }
    }

    /// Whether a figure was reproduced; it says something about the same model under the same policy only.
    private static func verdict(_ ours: Ours, _ run: EvaluationRun, _ figure: PublishedFigures.Figure) -> String {
        guard figure.isOf(model: run.settings.model) else { return "another model" }
        guard figure.isOf(policy: run.settings.policy) else { return "another policy" }
        guard let interval = ours.interval else { return "too few samples" }
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
