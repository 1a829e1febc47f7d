import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite("What policies hold of the attention, in tables and charts")
struct AttentionReportTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A model of two layers with two heads, the second of which holds less.
    private func row(_ policy: String, entries: Int, kept: Double) throws -> String {
        let heads = [(0, 0, 1.0), (0, 1, 0.5), (1, 0, 1.0), (1, 1, 1.0)].map { layer, head, factor in
            let far = kept * factor
            return #"{"layer": \#(layer), "head": \#(head), "entries": \#(entries), "shares": "#
                + #"{"attention": [0.2, 0.5, 0.3, 0, 0], "kept": [0.2, 0.5, \#(0.3 * far), 0, 0], "#
                + #""best": [0.2, 0.5, 0.25, 0, 0], "random": [0.2, 0.1, 0.05, 0, 0]}}"#
        }
        return #"{"policy": "\#(policy)", "model": "<m>", "bytes": 1000, "fullBytes": 9000, "texts": 1, "tokens": 90, "#
            + #""steps": 45, "heads": [\#(heads.joined(separator: ", "))]}"#
    }

    private func report(_ lines: [String]) throws -> AttentionReport {
        try AttentionReport(contentsOf: folder.write(lines.joined(separator: "\n"), to: "rows.jsonl"))
    }

    @Test("percent of the attention at each distance, the bounds, and the head that holds least")
    func table() throws {
        let report = try report([
            row("h2o:capacity=64,window=8", entries: 64, kept: 0.4), row("tova:capacity=64", entries: 64, kept: 1),
        ])
        let rows = report.markdown.split(separator: "\n").prefix { $0.hasPrefix("|") }
        #expect(
            rows[0] == "| policy | entries | bytes | held | 1 to 64 | 65 to 256 | 257 to 1024 | 1025 and more "
                + "| best possible | by lot | least in a head |")
        #expect(rows[2] == "| full cache |  | 9000 | 100.0 | 50.0 | 30.0 | 0.0 | 0.0 |  |  |  |")
        // Held at 65 to 256: 0.4 of three heads' attention and 0.2 of one's.
        #expect(
            rows[3] == "| h2o:capacity=64,window=8 | 64 | 1000 | 80.5 | 100.0 | 35.0 | - | - | 95.0 | 35.0 "
                + "| 76.0 (layer 0, head 1) |")
        #expect(report.markdown.contains("<m>: 1 texts, 90 tokens, 45 steps."))
    }

    @Test("the page has a line for each policy and a map for each row, and loads nothing")
    func page() throws {
        let attention = try report([
            row("h2o:capacity=64,window=8", entries: 64, kept: 0.4),
            row("h2o:capacity=32,window=8", entries: 32, kept: 0),
        ])
        let html = ReportPage(attention: attention).html
        #expect(html.contains("</svg>h2o:window=8</li>") && html.contains("</svg>best possible</li>"))
        #expect(html.components(separatedBy: "<details>").count == 3)
        #expect(html.contains("&lt;m&gt;") && !html.contains("<m>"))
        for outside in ["http://", "https://", "src=", "@import", "url("] { #expect(!html.contains(outside)) }
        let drawings = html.split(separator: "<svg").dropFirst().map {
            "<svg" + ($0.split(separator: "</svg>").first ?? "")
        }
        for drawing in drawings { #expect(XMLParser(data: Data((drawing + "</svg>").utf8)).parse(), "\(drawing)") }
    }

    @Test("what is no measurement is refused with its line")
    func refusals() throws {
        let good = try row("full", entries: 90, kept: 1)
        let short = good.replacing("[0.2, 0.5, 0.3, 0, 0]", with: "[0.2]")
        let uneven = good.replacing(#""layer": 1, "head": 1"#, with: #""layer": 2, "head": 1"#)
        for bad in ["{}", "[1]", short, uneven] {
            let error = #expect(throws: EvaluationError.self) { try report([good, bad]) }
            #expect(error?.kind == .format && error?.line == 2)
        }
        #expect(throws: EvaluationError.self) { try report([""]) }
    }
}
