import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

/// The code of the articles about measuring, as it stands there; `scripts/check-docs` compares.
@Suite struct EvaluationArticleTests {
    @Test func measure() async throws {
        let folder = try TemporaryFolder()
        let names = try folder.write("Ada\nBea\nCarl", to: "names.txt")
        let file = folder.url.appending(path: "run.jsonl")
        let model = try Model(contentsOf: Fixtures.stories)

        let digits = AnswerMetric("digits") { prediction, number in prediction.contains(number) ? 1 : 0 }
        let phoneBook = BenchmarkDefinition(
            name: "phonebook", summary: "a number out of a phone book; a file with one name a line",
            datasets: ["short"], defaultDataset: "short", scoring: .bestAnswer(by: digits)
        ) { request, codec in
            let names = try String(contentsOf: request.data, encoding: .utf8).split(separator: "\n")
            let book = names.enumerated().map { "\($1) has the number \(1000 + $0)." }.joined(separator: "\n")
            return names.enumerated().map { index, name in
                EvaluationSample(
                    id: "\(index)",
                    prompt: EvaluationPrompt("\(book)\nThe number of \(name) is", usesChatTemplate: false),
                    maximumNewTokens: 8, answers: ["\(1000 + index)"])
            }
        }

        let cache = CacheOptions.morphKV(capacity: 1024, window: 32)
        let answering = try SessionModel(model, cache: cache, threads: nil)
        let samples = try phoneBook.samples(.init(data: names, dataset: "short"), answering.codec)
        let settings = try EvaluationSettings(
            "phonebook", dataset: "short", samples: samples, model: model, cache: cache)
        try await EvaluationRunner(model: answering, settings: settings, samples: samples).run(to: file)

        let run = try await EvaluationRun(file, benchmarks: .standard.adding(phoneBook))
        let report = try EvaluationReport([run])
        print(report.markdown)
        #expect(report.markdown.contains("phonebook short: digits") && run.scores[0].count == 3)
    }
}
