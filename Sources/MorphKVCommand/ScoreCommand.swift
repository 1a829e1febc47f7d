internal import ArgumentParser
internal import Foundation
internal import MorphEval

struct ScoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "score", abstract: "Scores files of predictions as the benchmarks' own code does.",
        discussion: "Chinese datasets need Python with jieba 0.42.1; MORPHKV_PYTHON names the interpreter.")

    @Argument(help: "The benchmark: \(BenchmarkRegistry.standard.benchmarks.map(\.name).joined(separator: ", ")).")
    var benchmark: String

    @Option(name: .long, parsing: .upToNextOption, help: "Files of predictions, one JSON object per line.")
    var predictions: [String]

    @Option(help: "The dataset (default: the part of the file's name before \"_ws\").")
    var dataset: String?

    @Option(help: "The metric, where a benchmark has several.")
    var metric: String?

    @Flag(help: "Print one JSON object per file.")
    var json = false

    func run() async throws {
        guard let benchmark = BenchmarkRegistry.standard[benchmark] else {
            let names = BenchmarkRegistry.standard.benchmarks.map(\.name).joined(separator: ", ")
            throw ValidationError("there is no benchmark '\(benchmark)'; there are: \(names)")
        }
        let scorer = PredictionScorer()
        for path in predictions {
            let url = URL(fileURLWithPath: path)
            let result = try await scorer.score(url, benchmark: benchmark, dataset: dataset, metric: metric)
            guard !json else {
                try Output.printJSON(result)
                continue
            }
            let score = result.score.map { String(format: "%.2f", $0) } ?? "-"
            print("\(url.lastPathComponent): \(result.dataset), \(result.metric), n = \(result.n): \(score)")
        }
    }
}
