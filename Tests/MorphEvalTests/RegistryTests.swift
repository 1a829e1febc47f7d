import Foundation
import MorphEval
import TestSupport
import Testing

/// Benchmarks that are added to those of the package.
@Suite("Registry of benchmarks")
struct RegistryTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func benchmark(_ name: String = "mine", _ scoring: BenchmarkScoring) -> BenchmarkDefinition {
        BenchmarkDefinition(name: name, summary: "", datasets: [], defaultDataset: "all", scoring: scoring) { _, _ in
            (0..<2).map { index in
                EvaluationSample(
                    id: "\(index)", prompt: EvaluationPrompt("\(index)?", usesChatTemplate: false),
                    maximumNewTokens: 8, answers: ["a\(index)", "b\(index)"])
            }
        }
    }

    private func run(_ benchmark: BenchmarkDefinition) async throws -> EvaluationRun {
        let samples = try benchmark.samples(.init(data: folder.url, dataset: "all"), .bytes)
        let settings = SmallBenchmarks.settings(benchmark.name, "all", samples)
        let file = folder.url.appending(path: "run.jsonl")
        try await EvaluationRunner(model: EchoModel { _ in ["b1"] }, settings: settings, samples: samples).run(to: file)
        return try await EvaluationRun(file, benchmarks: .standard.adding(benchmark))
    }

    @Test("a metric of one's own takes the best answer and can be asked for by name")
    func ownMetric() async throws {
        let mine = benchmark(
            "mine",
            .bestAnswer(by: AnswerMetric("same") { $0 == $1 ? 1 : 0 }, or: [AnswerMetric("short") { _, _ in 0.5 }]))
        let run = try await run(mine)
        #expect(run.scores.map(\.name) == ["same"] && run.scores[0].value == 50 && run.scores[0].count == 2)
        let score = { try await PredictionScorer().score(run.url, benchmark: mine, metric: $0) }
        #expect(try await score("short").perSample == [0.5, 0.5])
        #expect(try await score("squad_em").perSample == [0, 1])
        let error = await #expect(throws: EvaluationError.self) { _ = try await score("nothing") }
        #expect(error?.description.hasSuffix("include_score, same, short") == true, "\(error?.description ?? "")")
    }

    @Test("a scoring of one's own sees the lines, and says whether it gives percentages")
    func ownScoring() async throws {
        let lengths = BenchmarkScoring(givesPercentages: true) { predictions in
            ("length", try predictions.records.map { Double(try $0.text("pred").count) })
        }
        #expect(try await run(benchmark("mine", lengths)).scores[0].value == 2)
        let report = try EvaluationReport([try await run(benchmark("mine", lengths))])
        #expect(report.markdown.contains("mine all: length"))
    }

    @Test("a benchmark of a known name replaces it, and one that is not registered cannot be scored")
    func names() async throws {
        let scoring = BenchmarkScoring.bestAnswer(by: .squadF1)
        let registry = BenchmarkRegistry.standard.adding(benchmark("squad", scoring), benchmark("mine", scoring))
        #expect(registry.benchmarks.count == BenchmarkRegistry.standard.benchmarks.count + 1)
        #expect(registry["squad"]?.datasets.isEmpty == true && registry["nothing"] == nil)
        let run = try await run(benchmark("mine", scoring))
        let error = await #expect(throws: EvaluationError.self) { try await EvaluationRun(run.url) }
        #expect(error?.description.contains("no way to score 'mine'") == true)
    }
}
