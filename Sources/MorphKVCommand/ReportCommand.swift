internal import ArgumentParser
internal import Foundation
internal import MorphEval

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Compares runs in one table and one page.",
        discussion: """
            Prints a Markdown table and writes the same with charts as a page that loads nothing. Verdicts of \
            `morphkv judge` beside a run are part of it.
            """)

    @Argument(help: "Result files of `morphkv eval`.")
    var runs: [String]

    @Option(help: "The page to write.")
    var html = "report.html"

    @Option(help: "Write the table to a file too.")
    var markdown: String?

    @Flag(help: "Compare runs on different samples, and name the difference.")
    var allowDifferent = false

    func run() async throws {
        var read: [EvaluationRun] = []
        for path in runs { read.append(try await EvaluationRun(URL(fileURLWithPath: path))) }
        let report = try EvaluationReport(read, allowsDifferentSamples: allowDifferent)
        try Output.write(report.markdown)
        if let markdown { try Output.save(report.markdown, to: markdown) }
        try Output.save(report.html, to: html)
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
