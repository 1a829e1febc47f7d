internal import ArgumentParser
internal import Foundation
internal import MorphEval

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Compares runs in one table and one page.",
        discussion: """
            Prints a Markdown table and writes the same with charts as a page that loads nothing. Verdicts of \
            `morphkv judge` beside a run are part of it. With --attention the page shows what policies hold of the attention.
            """)

    @Argument(help: "Result files of `morphkv eval`; those of shards of a run are one run.")
    var runs: [String] = []

    @Option(
        help: ArgumentHelp(
            "A run, named by one of its files, that all others are compared with on the same samples: what differs for "
                + "certain is marked."))
    var compare: String?

    @Flag(help: "Lay published figures of the same benchmarks beside the runs, with their models and settings.")
    var published = false

    @Option(help: "What `morphkv recall --attention --json` printed; may be given several times.")
    var attention: [String] = []

    @Option(help: "The page to write.")
    var html = "report.html"

    @Option(help: "Write the table to a file too.")
    var markdown: String?

    @Flag(help: "Compare runs on different samples, and name the difference.")
    var allowDifferent = false

    func validate() throws {
        if runs.isEmpty && attention.isEmpty { throw ValidationError("name runs, or measurements by --attention") }
    }

    func run() async throws {
        let named = runs + (compare.map { runs.contains($0) ? [] : [$0] } ?? [])
        let read = try await EvaluationRun.runs(at: named.map { URL(fileURLWithPath: $0) })
        let base = compare.map { URL(fileURLWithPath: $0) }.flatMap { file in read.first { $0.files.contains(file) } }
        let held = try attention.flatMap { try AttentionReport(contentsOf: URL(fileURLWithPath: $0)).rows }
        var report =
            read.isEmpty
            ? nil : try EvaluationReport(read, allowsDifferentSamples: allowDifferent, comparedTo: base)
        if published { report?.published = try PublishedFigures() }
        let page = ReportPage(
            runs: report,
            attention: held.isEmpty ? nil : AttentionReport(held), command: Output.command)
        try Output.write(page.markdown)
        if let markdown { try Output.save(page.markdown, to: markdown) }
        try Output.save(page.html, to: html)
    }
}

/// Draws a run on standard output and as a page beside the result file, where its benchmark has a drawing.
struct HeatMapWriter {
    let run: URL

    func write() async throws {
        let run = try await EvaluationRun(run)
        guard let map = run.benchmark.heatMap?(run) else { return }
        try Output.write(Output.isTerminal(.standardOutput) ? map.terminal : map.markdown)
        let page = run.url.deletingPathExtension().appendingPathExtension("html")
        try Output.save(HTML.page(title: map.title, body: map.figure), to: page.path)
    }
}
