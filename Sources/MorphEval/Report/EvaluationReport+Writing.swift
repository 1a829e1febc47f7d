internal import Foundation

extension EvaluationReport {
    /// The table and the notes in Markdown.
    public var markdown: String {
        MarkdownTable(header: header, rows: cells).text + "\n"
            + (comparison.map { MarkdownTable(header: BaseComparison.header, rows: $0.cells(self)).text + "\n" } ?? "")
            + (published.map { PublishedComparison(self, $0).markdown + "\n" } ?? "")
            + notes.map { "- \($0)\n" }.joined()
    }

    /// The page: table, notes and charts, with nothing to load.
    public var html: String { HTML.page(title: "morphkv report", body: body) }

    /// What the page shows.
    var body: String {
        let list = notes.map { "<li>\(HTML.escape($0))</li>" }.joined()
        let differences = comparison.map { [HTML.table(header: BaseComparison.header, rows: $0.cells(self))] } ?? []
        let figures = scoreCharts.map(\.figure) + [memoryChart?.figure].compactMap(\.self) + heatMaps.map(\.figure)
        let beside = published.map { [PublishedComparison(self, $0).body] } ?? []
        return ([HTML.table(header: header, rows: cells)] + differences + beside + ["<ul>\(list)</ul>"] + figures)
            .joined(
                separator: "\n")
    }

    // MARK: Table

    private var hasRemarks: Bool { rows.contains { !$0.remarks.isEmpty } }

    private var header: [String] {
        ["model", "policy", "bytes"] + (hasRemarks ? ["settings"] : [])
            + columns.map { "\($0.dataset): \($0.score)" } + ["most", "peak", "tokens, cut", "tokens/s"]
    }

    private var cells: [[String]] {
        rows.enumerated().map { index, row in
            let speed = row.runs.map(\.tokensPerSecond).reduce(0, +) / Double(row.runs.count)
            let scores = columns.map { column in
                score(row, column).map { Self.cell($0) + (comparison?.mark(index, column) ?? "") } ?? ""
            }
            return [row.model, row.policy, Self.megabytes(row.meanBytes)] + (hasRemarks ? [row.remarks] : []) + scores
                + [
                    Self.megabytes(row.runs.map(\.cacheBytes).max() ?? 0),
                    Self.megabytes(row.runs.map(\.peakBytes).max() ?? 0), Self.lengths(row.runs),
                    String(format: "%.1f", speed),
                ]
        }
    }

    private static func cell(_ score: EvaluationScore) -> String {
        guard let value = score.value else { return "" }
        let interval = score.interval.map { String(format: " [%.2f, %.2f]", $0.lowerBound, $0.upperBound) } ?? ""
        return String(format: "%.2f", value) + "\(interval), n = \(score.count)"
    }

    private static func lengths(_ runs: [EvaluationRun]) -> String {
        let parts = runs.map(\.answerLengths), count = Double(max(1, runs.count))
        let tokens = parts.reduce(0) { $0 + $1.meanTokens } / count, cut = parts.reduce(0) { $0 + $1.cut } / count
        return String(format: "%.0f, %.0f %%", tokens, 100 * cut)
    }

    private static func megabytes(_ bytes: Int) -> String { String(format: "%.2f MB", Double(bytes) / 1e6) }

    // MARK: Charts

    /// Score against bytes, one chart for each column; policies without a capacity are levels.
    private var scoreCharts: [LineChart] {
        // Files of other programs may not say how many bytes a cache took.
        let knowsBytes = rows.allSatisfy { $0.meanBytes > 0 }
        return columns.compactMap { column in
            var names: [String] = []
            var points: [String: [LineChart.Point]] = [:]
            var levels: Set<String> = []
            for row in rows {
                guard let score = score(row, column), let value = score.value else { continue }
                let name = seriesName(row, row.family)
                if points[name] == nil { names.append(name) }
                if row.key.capacity == nil, row.key.budget == nil { levels.insert(name) }
                points[name, default: []].append(
                    .init(
                        x: knowsBytes ? Double(row.meanBytes) / 1e6 : Double(row.key.capacity ?? 0), y: value,
                        interval: score.interval))
            }
            guard levels.count < names.count else { return nil }
            var chart = LineChart(
                title: "\(column.dataset): \(column.score) against \(knowsBytes ? "bytes" : "capacity")",
                xLabel: knowsBytes ? "cache at the end, MB, mean" : "entries per KV head",
                yLabel: "\(column.score), percent",
                series: names.map { .init($0, points[$0] ?? [], isLevel: levels.contains($0)) })
            chart.doublesAlongX = true
            chart.beginsAtZero = false
            return chart
        }
    }

    /// Bytes of the cache against the length of the response, one line for each row.
    private var memoryChart: LineChart? {
        let series = rows.map { row in
            LineChart.Series(seriesName(row, row.policy), Self.thinned(row.runs.flatMap(\.memory)))
        }
        guard series.contains(where: { !$0.points.isEmpty }) else { return nil }
        return LineChart(
            title: "Memory of the cache against response length", xLabel: "tokens of the response",
            yLabel: "cache, MB", series: series)
    }

    private func seriesName(_ row: Row, _ policy: String) -> String {
        (Set(rows.map(\.model)).count > 1 ? "\(row.model), " : "") + policy
            + (row.remarks.isEmpty ? "" : ", \(row.remarks)")
    }

    /// At most 41 points: the means of neighbours.
    private static func thinned(_ values: [(tokens: Int, bytes: Int)]) -> [LineChart.Point] {
        let longest = max(1, values.map(\.tokens).max() ?? 1)
        let groups = Dictionary(grouping: values) { $0.tokens * 40 / longest }
        return groups.values.map { group in
            let count = Double(group.count)
            return LineChart.Point(
                x: (group.reduce(0) { $0 + Double($1.tokens) } / count).rounded(),
                y: group.reduce(0) { $0 + Double($1.bytes) } / count / 1e6)
        }
    }

    private var heatMaps: [HeatMap] {
        rows.flatMap { row in row.runs.compactMap { $0.benchmark.heatMap?($0) } }
    }
}
