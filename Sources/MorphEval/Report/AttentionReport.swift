public import Foundation
public import MorphKV

/// A table and charts of how much of the full cache's attention policies hold, from what `morphkv recall --attention`
/// measured.
public struct AttentionReport: Sendable {
    /// What is shown, in the order of the table.
    public let rows: [AttentionRecall]
    private let policies: PolicyRegistry

    /// Arranges measurements.
    ///
    /// - Parameters:
    ///   - rows: What was measured.
    ///   - policies: What knows which parameter of a policy is its capacity; policies that differ in it only are one line.
    public init(_ rows: [AttentionRecall], policies: PolicyRegistry = .standard) {
        self.rows = rows
        self.policies = policies
    }

    /// Reads what `morphkv recall --attention --json` printed: one measurement a line.
    ///
    /// - Throws: ``EvaluationError`` of kind `format` for a line that is none.
    public init(contentsOf url: URL, policies: PolicyRegistry = .standard) throws {
        let rows = try DataFile(url).lines().map { line in
            let row = try? JSONDecoder().decode(AttentionRecall.self, from: Data(line.value.line.utf8))
            guard let row, row.isComplete else {
                throw line.problem("it is not what `morphkv recall --attention --json` prints")
            }
            return row
        }
        guard !rows.isEmpty else { throw EvaluationError(.format, file: url, "it holds no measurement") }
        self.init(rows, policies: policies)
    }

    /// The table and what it means, in Markdown.
    public var markdown: String {
        MarkdownTable(header: Self.header, rows: cells).text + "\n" + notes.map { "- \($0)\n" }.joined()
    }

    /// The same with charts, for the body of a page.
    var body: String {
        let list = notes.map { "<li>\(HTML.escape($0))</li>" }.joined()
        let heads = rows.map { row in
            "<details><summary>\(HTML.escape("Layers and heads: \(row.policy)"))</summary>"
                + "\(Self.headMap(row).figure)</details>"
        }
        return
            ([
                "<h2>What of the attention is held</h2>", HTML.table(header: Self.header, rows: cells),
                "<ul>\(list)</ul>", chart?.figure ?? "", distanceMap.figure,
            ] + heads).joined(separator: "\n")
    }

    // MARK: Table

    private static let header =
        ["policy", "entries", "bytes", "held"] + distanceNames + ["best possible", "by lot", "least in a head"]

    /// The ranges of distances, the token itself left out, which every cache holds.
    private static let distanceNames: [String] = AttentionRecall.distances.indices.dropFirst().map { index in
        let starts = AttentionRecall.distances
        return index + 1 < starts.count ? "\(starts[index]) to \(starts[index + 1] - 1)" : "\(starts[index]) and more"
    }

    private var cells: [[String]] {
        let attention = rows.first.map { row in
            [["full cache", "", "\(row.fullBytes)", "100.0"] + Self.percentages(row.shares.attention) + ["", "", ""]]
        }
        return (attention ?? [])
            + rows.map { row in
                let shares = row.shares
                let least = row.heads.min { $0.shares.kept.sum < $1.shares.kept.sum }
                return [
                    row.policy, String(format: "%.0f", row.meanEntries), "\(row.bytes)", Self.percent(shares.kept.sum),
                ]
                    + Self.held(shares).map { $0.map(Self.percent) ?? "-" }
                    + [Self.percent(shares.best.sum), Self.percent(shares.random.sum)]
                    + [least.map { "\(Self.percent($0.shares.kept.sum)) (layer \($0.layer), head \($0.head))" } ?? ""]
            }
    }

    private static func percentages(_ shares: [Double]) -> [String] { shares.dropFirst().map(percent) }

    private static func percent(_ share: Double) -> String { String(format: "%.1f", 100 * share) }

    /// For each range of distances but the token itself, which share of its attention is held; nil where there is none.
    private static func held(_ shares: AttentionRecall.Shares) -> [Double?] {
        zip(shares.kept, shares.attention).dropFirst().map { $1 > 0 ? $0 / $1 : nil }
    }

    private var notes: [String] {
        let measured = Set(rows.map { "\($0.model): \($0.texts) texts, \($0.tokens) tokens, \($0.steps) steps." })
        return [
            """
            Percent of the full cache's attention that falls on entries which the policy holds when a token attends; mean \
            over steps and KV heads. A column of distances (in tokens) is of the attention at that distance, which the row of \
            the full cache states; the token itself counts in the other columns only.
            """,
            """
            Best possible: the largest weights of each step, as many as the policy has entries. No policy with as many \
            entries can hold more in sum. By lot: the expectation for the token itself and others drawn at random.
            """,
        ] + measured.sorted()
    }

    // MARK: Charts

    /// What is held against the number of entries, a line for each policy, between the two bounds.
    private var chart: LineChart? {
        var names: [String] = []
        var points: [String: [LineChart.Point]] = [:]
        for row in rows {
            let name = PolicySpecification.family(of: row.policy, in: policies)
            if points[name] == nil { names.append(name) }
            points[name, default: []].append(.init(x: row.meanEntries.rounded(), y: 100 * row.shares.kept.sum))
        }
        let bounds = [("best possible", \AttentionRecall.Shares.best), ("by lot", \.random)].map { name, part in
            LineChart.Series(
                name,
                Dictionary(grouping: rows) { $0.meanEntries.rounded() }.map { entries, rows in
                    let sum = rows.reduce(0) { $0 + $1.shares[keyPath: part].sum }
                    return .init(x: entries, y: 100 * sum / Double(rows.count))
                })
        }
        guard !rows.isEmpty else { return nil }
        var chart = LineChart(
            title: "Attention that is held against entries", xLabel: "entries per KV head, mean over heads",
            yLabel: "share of the full cache's attention, percent",
            series: bounds + names.map { .init($0, points[$0] ?? []) })
        chart.doublesAlongX = true
        chart.beginsAtZero = false
        return chart
    }

    /// What is held at each distance, a row for each policy.
    private var distanceMap: HeatMap {
        HeatMap(
            title: "Attention that is held, by distance (percent of the attention at that distance)",
            xLabel: "tokens back", yLabel: "policy", columns: ["all"] + Self.distanceNames,
            rows: rows.map(\.policy), shares: rows.map { [$0.shares.kept.sum] + Self.held($0.shares) })
    }

    private static func headMap(_ row: AttentionRecall) -> HeatMap {
        let layers = Dictionary(grouping: row.heads, by: \.layer).sorted { $0.key < $1.key }.map(\.value)
        return HeatMap(
            title: "\(row.policy): attention that is held, by layer and KV head", xLabel: "KV head", yLabel: "layer",
            columns: (layers.first ?? []).map { "\($0.head)" }, rows: layers.map { "\($0[0].layer)" },
            shares: layers.map { $0.map(\.shares.kept.sum) })
    }
}

extension AttentionRecall {
    /// Entries of a KV head, mean over heads.
    fileprivate var meanEntries: Double {
        Double(heads.reduce(0) { $0 + $1.entries }) / Double(max(1, heads.count))
    }

    /// Whether every head has its shares for all distances, and all layers have equally many heads.
    fileprivate var isComplete: Bool {
        let layers = Dictionary(grouping: heads, by: \.layer).values.map(\.count)
        return Set(layers).count == 1
            && heads.allSatisfy { head in
                [head.shares.attention, head.shares.kept, head.shares.best, head.shares.random].allSatisfy {
                    $0.count == Self.distances.count
                }
            }
    }
}

extension [Double] {
    fileprivate var sum: Double { reduce(0, +) }
}
