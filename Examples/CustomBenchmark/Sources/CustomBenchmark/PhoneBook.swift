import Foundation
import MorphEval
import MorphKV

/// A benchmark outside of the MorphKV package: a phone book, and after it the question for one of its numbers.
public enum PhoneBook {
    /// What the command's benchmarks are too: samples, a scoring, and a name. The data is a file with one name a line.
    public static let benchmark = BenchmarkDefinition(
        name: "phonebook", summary: "a number out of a phone book; a file with one name a line",
        datasets: ["short", "long"], defaultDataset: "short", scoring: .bestAnswer(by: digits)
    ) { request, _ in
        let names = try String(contentsOf: request.data, encoding: .utf8).split(separator: "\n").map(String.init)
        return samples(of: Array(names.prefix(request.dataset == "short" ? 8 : 64)))
    }

    /// The share of the number's digits that the answer has in their places.
    static let digits = AnswerMetric("digits") { prediction, reference in
        let written = prediction.filter(\.isNumber)
        return Double(zip(written, reference).count { $0 == $1 }) / Double(reference.count)
    }

    private static func samples(of names: [String]) -> [EvaluationSample] {
        let book = names.enumerated().map { "\($1) has the number \(number($0))." }.joined(separator: "\n")
        return names.indices.map { index in
            EvaluationSample(
                id: "phonebook/\(names.count)/\(index)",
                prompt: EvaluationPrompt(
                    "\(book)\nWhich number has \(names[index])? The number is", usesChatTemplate: false),
                maximumNewTokens: 8, answers: [number(index)])
        }
    }

    private static func number(_ index: Int) -> String { "\(1000 + (index * 7919) % 9000)" }
}

extension PhoneBook {
    /// Runs the benchmark under some policies, one result file each, and compares them.
    ///
    /// Called again it goes on where it stopped: files hold what is answered.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - policies: What the caches keep, as text.
    ///   - names: The file of names.
    ///   - folder: Where the result files go.
    public static func compare(
        _ model: Model, policies: [String], names: URL, in folder: URL
    ) async throws -> EvaluationReport {
        var runs: [EvaluationRun] = []
        let dataset = try benchmark.dataset(named: nil)
        for policy in policies {
            let cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy))
            let answering = try SessionModel(model, cache: cache, threads: 1)
            let samples = try benchmark.samples(.init(data: names, dataset: dataset), answering.codec)
            let settings = try EvaluationSettings(
                benchmark.name, dataset: dataset, samples: samples, model: model, cache: cache)
            let file = folder.appendingPathComponent("run-\(runs.count).jsonl")
            try await EvaluationRunner(model: answering, settings: settings, samples: samples).run(to: file)
            runs.append(try await EvaluationRun(file, benchmarks: .standard.adding(benchmark)))
        }
        return try EvaluationReport(runs)
    }
}
