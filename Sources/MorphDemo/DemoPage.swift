internal import Foundation
internal import MorphEval

/// The page of `morphkv demo`: one diary under several caches, and all methods on more of them.
package struct DemoPage: Sendable {
    /// One diary under one cache.
    package struct Written: Sendable {
        /// What the cache is called.
        package let name: String
        /// The diary.
        package let answer: DiaryAnswer

        /// Names an answer.
        package init(name: String, answer: DiaryAnswer) {
            self.name = name
            self.answer = answer
        }
    }

    private let task: DiaryTask
    private let written: [Written]
    private let results: [DemoResult]
    private let chartedPolicies: Set<String>
    private let notes: [String]

    /// Takes what is to be shown.
    ///
    /// - Parameters:
    ///   - chartedPolicies: The policies that have a line in the charts.
    ///   - notes: Sentences about how it was measured.
    package init(
        task: DiaryTask, written: [Written], results: [DemoResult], chartedPolicies: Set<String>, notes: [String]
    ) {
        self.task = task
        self.written = written
        self.results = results
        self.chartedPolicies = chartedPolicies
        self.notes = notes
    }

    /// The page, with nothing to load.
    package var html: String {
        let list = notes.map { "<li>\(HTML.escape($0))</li>" }.joined()
        let parts =
            ["<ul>\(list)</ul>", "<h2>One diary of \(task.sample.number) weeks</h2>", comparison, memoryChart.figure]
            + written.map { map(of: $0).figure } + texts + ["<h2>All policies</h2>", table] + charts.map(\.figure)
        return HTML.page(title: "morphkv demo", body: parts.joined(separator: "\n"))
    }

    // MARK: One diary

    private var comparison: String {
        HTML.table(
            header: ["cache", "policy", "tokens", "tokens/s", "slots", "bytes", "peak bytes", "instructions honoured"],
            rows: written.map { written in
                let answer = written.answer
                let (passed, checks) = DiaryScore(answer.text, to: task).instructions
                return [
                    written.name, answer.policy, "\(answer.tokens)", String(format: "%.0f", answer.tokensPerSecond),
                    "\(answer.slots)", "\(answer.cacheBytes)", "\(answer.peakBytes)", "\(passed) of \(checks)",
                ]
            })
    }

    private var memoryChart: LineChart {
        LineChart(
            title: "Memory of the cache against tokens written", xLabel: "tokens written", yLabel: "cache, KB",
            series: written.map { written in
                LineChart.Series(
                    written.name,
                    Self.corners(written.answer.memory).map {
                        .init(x: Double($0.tokens), y: Double($0.bytes) / 1000)
                    })
            })
    }

    /// The points before and after every change, and both ends.
    private static func corners(_ points: [DiaryAnswer.MemoryPoint]) -> [DiaryAnswer.MemoryPoint] {
        points.indices.filter { index in
            let neighbours = [index - 1, index + 1]
            return neighbours.contains { !points.indices.contains($0) || points[$0].bytes != points[index].bytes }
        }.map { points[$0] }
    }

    private func map(of written: Written) -> PositionMap {
        let answer = written.answer
        return PositionMap(
            title: "Positions that each layer and KV head holds at the end: \(written.name)",
            positions: answer.keptPositions, count: answer.promptTokens + answer.tokens,
            promptCount: answer.promptTokens)
    }

    private var texts: [String] {
        let all =
            [("The prompt", task.sample.prompt)]
            + written.map { ("The diary: \($0.name)", task.sample.prefix + $0.answer.text) }
        return all.map { title, text in
            "<details><summary>\(HTML.escape(title))</summary><pre style=\"white-space: pre-wrap\">"
                + "\(HTML.escape(text))</pre></details>"
        }
    }

    // MARK: All policies

    private var table: String { HTML.table(header: DemoResult.tableHeader, rows: results.map(\.tableRow)) }

    /// One chart for each kind of check: accuracy against capacity, policies without a capacity as levels.
    private var charts: [LineChart] {
        DiaryScore.CheckKind.allCases.map { kind in
            var names: [String] = []
            var points: [String: [LineChart.Point]] = [:]
            var levels: Set<String> = []
            for result in results where chartedPolicies.contains(result.policy) {
                if points[result.policy] == nil { names.append(result.policy) }
                if result.capacity == nil { levels.insert(result.policy) }
                points[result.policy, default: []].append(
                    .init(x: Double(result.capacity ?? 0), y: result.percent(kind)))
            }
            var chart = LineChart(
                title: "\(kind.rawValue) against capacity", xLabel: "entries per KV head",
                yLabel: "\(kind.rawValue), percent",
                series: names.map { .init($0, points[$0] ?? [], isLevel: levels.contains($0)) })
            chart.doublesAlongX = true
            return chart
        }
    }
}
