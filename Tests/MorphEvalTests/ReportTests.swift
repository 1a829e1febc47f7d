import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite("Reports")
struct ReportTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A run of the small LongBench file with so many right answers.
    private func run(
        _ name: String, policy: String, capacity: Int?, right: Int, samples count: Int = 4,
        benchmark: String = "longbench",
        _ change: (inout EvaluationSettings) -> Void = { _ in }
    ) async throws -> EvaluationRun {
        let (dataset, all) = try SmallBenchmarks.samples(benchmark, in: folder)
        let samples = Array(all.prefix(count))
        let model = EchoModel { request in
            let index = Int(request.seed)
            return [index < right ? (benchmark == "niah" ? NeedleHaystack.Needle().answer : "a\(index)") : "?"]
        }
        var settings = EvaluationSettings(
            benchmark: benchmark, dataset: dataset, samples: samples, model: "<echo>", modelFingerprint: "0",
            policy: policy, capacity: capacity)
        change(&settings)
        let url = folder.url.appending(path: "\(name).jsonl")
        try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: url)
        return try await EvaluationRun(url)
    }

    @Test("one row a policy with score, interval, number of samples, memory and speed")
    func table() async throws {
        let report = try EvaluationReport([
            try await run("b", policy: "h2o:capacity=128,window=8", capacity: 128, right: 4),
            try await run("a", policy: "h2o:capacity=64,window=8", capacity: 64, right: 2),
            try await run("c", policy: "full", capacity: nil, right: 4),
        ])
        let rows = report.markdown.split(separator: "\n").prefix { $0.hasPrefix("|") }
        #expect(
            rows[0]
                == "| model | policy | bytes | longbench hotpotqa: qa_f1_score | most | peak | tokens, cut | tokens/s |"
        )
        #expect(rows[2].hasPrefix("| <echo> | full | 0.00 MB | 100.00 [100.00, 100.00], n = 4 | 0.00 MB | 0.00 MB |"))
        #expect(rows[3].hasPrefix("| <echo> | h2o:capacity=64,window=8 | 0.00 MB | 50.00 [0.00, 100.00], n = 4 |"))
        #expect(rows[4].hasPrefix("| <echo> | h2o:capacity=128,window=8 | 0.00 MB | 100.00"))
        #expect(report.markdown.contains("bootstrap"))
    }

    @Test("runs that differ in the capacity only are one line of the chart, whosever policy it is")
    func families() async throws {
        let runs = [
            try await run("a", policy: "mine:alpha=2,capacity=64", capacity: 64, right: 2),
            try await run("b", policy: "mine:alpha=2,capacity=128", capacity: 128, right: 4),
            try await run("c", policy: "cutting:promptCapacity=64", capacity: 64, right: 2),
            try await run("d", policy: "own:alpha=2,entries=64", capacity: 64, right: 2),
            try await run("e", policy: "own:alpha=2,entries=128", capacity: 128, right: 4),
        ]
        func isLine(_ name: String, _ report: EvaluationReport) -> Bool {
            report.html.contains("</svg>\(name)</li>")
        }
        let unknown = try EvaluationReport(runs)
        #expect(isLine("mine:alpha=2", unknown) && isLine("cutting", unknown))
        #expect(!isLine("own:alpha=2", unknown) && isLine("own:alpha=2,entries=64", unknown))
        let known = try EvaluationReport(runs, policies: .standard.adding(OwnPolicy.self))
        #expect(isLine("mine:alpha=2", known) && isLine("own:alpha=2", known))
    }

    @Test("the page loads nothing, is well-formed where it draws, and shows names as they are")
    func page() async throws {
        let report = try EvaluationReport([
            try await run("a", policy: "h2o:capacity=64", capacity: 64, right: 2),
            try await run("b", policy: "h2o:capacity=128", capacity: 128, right: 4),
            try await run("c", policy: "full", capacity: nil, right: 4),
        ])
        let html = report.html
        for outside in ["http://", "https://", "src=", "@import", "url("] { #expect(!html.contains(outside)) }
        #expect(html.contains("&lt;echo&gt;") && !html.contains("<echo>"))
        #expect(html.contains("against bytes") && html.contains("against response length"))
        let drawings = html.split(separator: "<svg").dropFirst().map {
            "<svg" + ($0.split(separator: "</svg>").first ?? "")
        }
        #expect(drawings.count >= 2)
        for drawing in drawings { #expect(XMLParser(data: Data((drawing + "</svg>").utf8)).parse(), "\(drawing)") }
    }

    @Test(
        "published figures stand beside the rows: reproduced or not under the same model and policy, else named as others"
    )
    func published() async throws {
        let figures = try PublishedFigures()
        #expect(figures.figures.count > 150 && Set(figures.figures.map(\.benchmark)).count >= 4)
        for figure in figures.figures {
            let benchmark = try BenchmarkRegistry.standard.benchmark(figure.benchmark)
            #expect((benchmark.datasets + [PublishedFigures.mean]).contains(figure.dataset), "\(figure)")
            _ = try PolicyRegistry.standard.descriptor(named: PolicySpecification(parsing: figure.policy).name)
        }
        var report = try EvaluationReport([
            try await run("a", policy: "morphkv:capacity=64", capacity: 64, right: 4) {
                $0.model = "Meta-Llama-3.1-8B-Instruct-Q8_0.gguf"
            },
            try await run("b", policy: "full", capacity: nil, right: 4),
        ])
        #expect(!report.markdown.contains("published model"))
        report.published = figures
        let lines = report.markdown.split(separator: "\n").filter { $0.hasPrefix("| longbench hotpotqa") }
        // Of the model three policies are published; of a model that nobody knows all are shown.
        let own = lines.filter { $0.contains("Meta-Llama") }
        #expect(own.count == 3 && lines.count > 10)
        let line = try #require(own.first { $0.contains("| morphkv |") })
        #expect(line.contains("| 15.9 |") && line.contains("+84.10") && line.contains("| not reproduced |"), "\(line)")
        #expect(own.count { $0.contains("another policy") } == 2)
        #expect(lines.contains { $0.contains("another model") } && report.html.contains("published model"))
        #expect(report.markdown.contains("8903d2a"))
    }

    @Test("runs on different samples are refused, and the difference is named")
    func differentSamples() async throws {
        let runs = [
            try await run("a", policy: "h2o:capacity=64", capacity: 64, right: 2),
            try await run("b", policy: "h2o:capacity=128", capacity: 128, right: 2, samples: 2),
        ]
        let error = #expect(throws: EvaluationError.self) { try EvaluationReport(runs) }
        #expect(error?.kind == .differentSamples)
        #expect(error?.description.contains("2 only in a.jsonl (hotpotqa/2, hotpotqa/3)") == true)
        let allowed = try EvaluationReport(runs, allowsDifferentSamples: true)
        #expect(allowed.notes.contains { $0.contains("2 only in a.jsonl") })
    }

    @Test("samples of the same name and other content are different samples")
    func changedSamples() async throws {
        let first = try await run("a", policy: "h2o:capacity=64", capacity: 64, right: 2)
        let text = try String(contentsOf: first.url, encoding: .utf8)
        let changed = folder.url.appending(path: "b.jsonl")
        let digest = try #require(first.lines.first?.digest)
        try Data(
            text.replacing(digest, with: "ffffffffffffffff").replacing("h2o:capacity=64", with: "tova:capacity=64").utf8
        ).write(to: changed)
        let runs = [first, try await EvaluationRun(changed)]
        let error = #expect(throws: EvaluationError.self) { try EvaluationReport(runs) }
        #expect(error?.description.contains("1 of other content (hotpotqa/0)") == true)
    }

    @Test("an interrupted run says how far it is")
    func unfinished() async throws {
        let whole = try await run("a", policy: "full", capacity: nil, right: 2)
        let text = try String(contentsOf: whole.url, encoding: .utf8).split(separator: "\n").prefix(3)
        let part = try folder.write(text.joined(separator: "\n") + "\n", to: "part.jsonl")
        let report = try EvaluationReport([try await EvaluationRun(part)])
        #expect(report.notes.contains("part.jsonl holds 3 of the 4 samples of its run."))
    }

    @Test("what else differs is a column, and limits of tokens are a note")
    func settings() async throws {
        let report = try EvaluationReport([
            try await run("a", policy: "full", capacity: nil, right: 2) { $0.seed = 0 },
            try await run("b", policy: "full", capacity: nil, right: 3) {
                $0.cache = "f32"
                $0.maximumNewTokens = 9
            },
        ])
        #expect(report.markdown.contains("| f16 |") && report.markdown.contains("| f32 |"))
        #expect(report.notes.contains { $0.contains("b.jsonl (answer 9, prompt as published)") })
    }

    @Test("the same policy and dataset twice, empty files and other files are refused")
    func refusals() async throws {
        let first = try await run("a", policy: "full", capacity: nil, right: 2)
        let copy = folder.url.appending(path: "copy.jsonl")
        try FileManager.default.copyItem(at: first.url, to: copy)
        let twin = try await EvaluationRun(copy)
        #expect(throws: EvaluationError.self) { try EvaluationReport([first, twin]) }
        let text = try String(contentsOf: copy, encoding: .utf8)
        let doubled = try folder.write(text + text, to: "doubled.jsonl")
        let twice = await #expect(throws: EvaluationError.self) { try await EvaluationRun(doubled) }
        #expect(twice?.line == 5 && twice?.description.contains("is there twice") == true)
        let empty = try folder.write("", to: "empty.jsonl")
        await #expect(throws: EvaluationError.self) { try await EvaluationRun(empty) }
        let foreign = try folder.write(#"{"pred": "x", "answers": ["x"]}"#, to: "foreign.jsonl")
        let error = await #expect(throws: EvaluationError.self) { try await EvaluationRun(foreign) }
        #expect(error?.description.contains("morphkv eval") == true)
    }

    @Test("rows are compared with one of them, and what is certain is marked")
    func compared() async throws {
        let none = try await run("a", policy: "tova:capacity=64", capacity: 64, right: 0, samples: 6, benchmark: "niah")
        let all = try await run("b", policy: "h2o:capacity=64", capacity: 64, right: 6, samples: 6, benchmark: "niah")
        func cell(_ policy: String, _ report: EvaluationReport) throws -> Substring {
            try #require(report.markdown.split(separator: "\n").first { $0.hasPrefix("| <echo> | \(policy)") })
        }
        let up = try EvaluationReport([none, all], comparedTo: none)
        #expect(try cell("h2o", up).contains("n = 6 ▲ |") && !cell("tova", up).contains("≈"))
        #expect(
            up.markdown.contains(
                "niah_recall | +91.67 | +91.67 to +91.67 | 6 | 6 | 0 | 0.0313 | 0.0313 | better |"), "\(up.markdown)")
        #expect(up.html.contains("<th>verdict</th>") && up.notes.contains { $0.contains("Holm") })
        #expect(try cell("tova", EvaluationReport([none, all], comparedTo: all)).contains("▼"))
        // One test more, and the same difference is no longer certain.
        let few = try await run("c", policy: "full", capacity: nil, right: 1, samples: 6, benchmark: "niah")
        let three = try EvaluationReport([none, all, few], comparedTo: none)
        #expect(try cell("h2o", three).contains("≈") && cell("full", three).contains("≈"))
        #expect(try EvaluationReport([none, all]).markdown.contains("≈") == false)
    }

    @Test("the report says how tokens were chosen and by which calls the runs were made")
    func calls() async throws {
        let whole = try await run("a", policy: "full", capacity: nil, right: 2) { $0.seed = 7 }
        #expect(try EvaluationReport([whole]).notes.contains("Sampling: greedy, seed 7."))
        let (dataset, samples) = try SmallBenchmarks.samples("longbench", in: folder)
        let url = folder.url.appending(path: "called.jsonl")
        var runner = EvaluationRunner(
            model: EchoModel { _ in ["x"] }, settings: SmallBenchmarks.settings("longbench", dataset, samples),
            samples: samples)
        runner.command = "morphkv eval longbench"
        try await runner.run(to: url)
        let report = try EvaluationReport([try await EvaluationRun(url)])
        #expect(report.notes.contains("called.jsonl: `morphkv eval longbench`"))
        #expect(ReportPage(runs: report, command: "morphkv report 'a b'").markdown.contains("`morphkv report 'a b'`"))
    }

    @Test("the needle's recall by depth and length")
    func needle() async throws {
        let run = try await run("n", policy: "full", capacity: nil, right: 5, samples: 6, benchmark: "niah")
        let map = try #require(run.benchmark.heatMap?(run))
        #expect(map.columns == ["200", "400"] && map.rows == ["0", "50", "100"])
        // The needle has one of its twelve words twice, and words found are counted once.
        let found = 11.0 / 12
        let flat = map.shares.flatMap(\.self).compactMap(\.self)
        #expect(
            zip(flat, Array(repeating: found, count: 5) + [0]).allSatisfy { abs($0 - $1) < 1e-9 } && flat.count == 6)
        #expect(map.markdown.contains("| 50 | 92 | 92 |"))
        #expect(map.terminal.contains("\u{1B}[48;5;221;38;5;16m   92\u{1B}[0m"))
        #expect(XMLParser(data: Data(map.svg.utf8)).parse())
        #expect(try EvaluationReport([run]).html.contains("Needle: niah_recall"))
        #expect(try await self.run("a", policy: "full", capacity: nil, right: 1).benchmark.heatMap == nil)
    }

    @Test("the interval holds the mean, is the same in every call, and shrinks with the number of samples")
    func intervals() throws {
        let few = EvaluationScore("m", values: [0, 100, 100, 0, 100])
        let many = EvaluationScore("m", values: Array(repeating: [0, 100, 100, 0, 100], count: 50).flatMap(\.self))
        let (narrow, wide) = (try #require(many.interval), try #require(few.interval))
        #expect(few.value == 60 && many.value == 60)
        #expect(wide.contains(60) && narrow.contains(60))
        #expect(narrow.upperBound - narrow.lowerBound < (wide.upperBound - wide.lowerBound) / 3)
        // The normal approximation: 60 ± 1.96 · 49 / √250.
        #expect(abs(narrow.lowerBound - 53.9) < 1 && abs(narrow.upperBound - 66.1) < 1)
        #expect(few.interval == EvaluationScore("other", values: [0, 100, 100, 0, 100]).interval)
        #expect(EvaluationScore("m", values: [5]).interval == nil && EvaluationScore("m", values: []).value == nil)
    }

    @Test("charts stand any values", arguments: [[], [0], [5, 5], [-3, 1e9], [0.001, 0.002]])
    func chartValues(_ values: [Double]) {
        let points = values.map { LineChart.Point(x: $0, y: $0, interval: ($0 - 1)...($0 + 1)) }
        for doubles in [true, false] {
            var chart = LineChart(title: "a & b", xLabel: "<x>", yLabel: "y", series: [.init("\"s\"", points)])
            chart.doublesAlongX = doubles
            #expect(XMLParser(data: Data(chart.svg.utf8)).parse())
            #expect(!chart.figure.contains("nan") && !chart.figure.contains("inf"))
        }
    }

    @Test("names at the ends of lines never cover each other; ticks may have words")
    func namedLines() throws {
        var chart = LineChart(
            title: "t", xLabel: "x", yLabel: "y",
            series: (0..<14).map { index in
                .init(
                    "line \(index)<", [.init(x: 10, y: 1), .init(x: 40, y: index < 7 ? 100 : 0)], isLevel: index == 3)
            })
        chart.namesLines = true
        chart.ticks = [.init(x: 10, label: "1/4 & more")]
        #expect(XMLParser(data: Data(chart.svg.utf8)).parse())
        #expect(chart.svg.contains(">1/4 &amp; more</text>"))
        let places = chart.svg.matches(of: /<text class="name [^>]* y="([0-9.]+)" dy="4">line/)
            .compactMap { Double($0.output.1) }.sorted()
        #expect(places.count == 14)
        #expect(zip(places, places.dropFirst()).allSatisfy { $1 - $0 >= 14.9 })
        #expect(try #require(places.first) >= 0 && #require(places.last) <= 400)
    }
}

/// A policy whose capacity has a name of its own.
private struct OwnPolicy: CachePolicy {
    static let descriptor = PolicyDescriptor(
        name: "own", summary: "everything", source: "a test",
        parameters: [.number("alpha", in: 0...9, default: 1, "a number"), .capacity(named: "entries", "entries")])

    let arguments: PolicyArguments

    init(_ arguments: PolicyArguments) { self.arguments = arguments }

    func rule(for layer: LayerGeometry) throws -> RetentionRule { .everything }
}
