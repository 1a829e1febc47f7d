internal import Foundation
internal import MorphEval
internal import MorphKV

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
    ///   - results: What was measured; the page is about the one diary if there is nothing yet.
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
        let diary =
            ["<h2>One diary of \(task.sample.number) weeks</h2>", comparison, memoryChart.figure]
            + written.map { map(of: $0).figure } + texts
        let policies = ["<h2>All policies</h2>", table] + charts.map(\.figure)
        let parts = results.isEmpty ? diary : ["<ul>\(list)</ul>", bytesChart.figure] + diary + policies
        return HTML.page(title: "morphkv demo", body: parts.joined(separator: "\n"))
    }

    // MARK: One diary

    private var comparison: String {
        HTML.table(
            header: [
                "cache", "policy", "tokens", "tokens/s", "slots per head", "bytes", "of them tables",
                "instructions honoured",
            ],
            rows: written.map { written in
                let answer = written.answer
                let (passed, checks) = DiaryScore(answer.text, to: task).instructions
                return [
                    written.name, answer.policy, "\(answer.tokens)", String(format: "%.0f", answer.tokensPerSecond),
                    answer.fewestSlots == answer.slots ? "\(answer.slots)" : "\(answer.fewestSlots) to \(answer.slots)",
                    "\(answer.bytes)", "\(answer.sharedBytes)", "\(passed) of \(checks)",
                ]
            })
    }

    private var memoryChart: LineChart {
        LineChart(
            title: "Memory of the cache, tables counted, against tokens written", xLabel: "tokens written",
            yLabel: "cache, KB",
            series: written.map { written in
                LineChart.Series(
                    written.name,
                    Self.corners(written.answer.memory).map {
                        .init(x: Double($0.tokens), y: Double($0.bytes + written.answer.sharedBytes) / 1000)
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

    /// Accuracy against bytes: what decides which policy to take.
    private var bytesChart: LineChart {
        let (names, points, _) = charted { .init(x: Double($0.bytes) / 1000, y: $0.accuracy) }
        var chart = LineChart(
            title: "Instructions honoured against bytes of the cache, everything counted",
            xLabel: "bytes that the full cache takes for this share of the response", yLabel: "honoured, percent",
            series: names.map { .init($0, points[$0] ?? [], isLevel: $0 == FullPolicy.descriptor.name) })
        var shares: [String: Int] = [:]
        for result in results { if let share = result.share, let budget = result.budget { shares[share] = budget } }
        chart.ticks = shares.sorted { $0.value < $1.value }.map { share, bytes in
            .init(x: Double(bytes) / 1000, label: "\(share) (\((bytes + 500) / 1000) KB)")
        }
        chart.doublesAlongX = true
        chart.namesLines = true
        return chart
    }

    /// The charted policies in order, their points, and those of them that have no capacity.
    private func charted(
        _ point: (DemoResult) -> LineChart.Point
    ) -> (names: [String], points: [String: [LineChart.Point]], levels: Set<String>) {
        var names: [String] = []
        var points: [String: [LineChart.Point]] = [:]
        var levels: Set<String> = []
        for result in results where chartedPolicies.contains(result.policy) {
            if points[result.policy] == nil { names.append(result.policy) }
            if result.capacity == nil { levels.insert(result.policy) }
            points[result.policy, default: []].append(point(result))
        }
        return (names, points, levels)
    }

    private var table: String { HTML.table(header: DemoResult.tableHeader, rows: results.map(\.tableRow)) }

    /// One chart for each kind of check: accuracy against capacity, policies without a capacity as levels.
    private var charts: [LineChart] {
        DiaryScore.CheckKind.allCases.map { kind in
            let (names, points, levels) = charted { .init(x: Double($0.capacity ?? 0), y: $0.percent(kind)) }
            var chart = LineChart(
                title: "\(kind.rawValue) against capacity", xLabel: "entries per KV head",
                yLabel: "\(kind.rawValue), percent",
                series: names.map { .init($0, points[$0] ?? [], isLevel: levels.contains($0)) })
            chart.doublesAlongX = true
            return chart
        }
    }
}
