import Foundation
import TestSupport
import Testing

@testable import MorphEval

/// The predictions published with MorphKV have the scores that the published scorers give them.
@Suite("Published predictions")
struct PublishedPredictionTests {
    static let files = (try? ExpectedScore.all()) ?? []

    @Test("LongBench", arguments: files.filter { $0.path.hasPrefix("longbench/") && !$0.isChinese })
    func longBench(_ expected: ExpectedScore) async throws { try await check(expected) }

    @Test(
        "LongBench, Chinese", .enabled(if: PythonModule.hasJieba, PythonModule.noJieba),
        arguments: files.filter { $0.path.hasPrefix("longbench/") && $0.isChinese })
    func chineseLongBench(_ expected: ExpectedScore) async throws { try await check(expected) }

    @Test("every file has an expected score")
    func completeness() { #expect(Self.files.count { $0.path.hasPrefix("longbench/") } == 16) }

    @Test func longWriter() async throws {
        let file = Fixtures.predictions.appending(
            path: "longwriter/mistral/preds_ws32_mc4000.0_ea1.0_morph_True_type_sum_fused_git_lenNone.jsonl")
        let result = try await PredictionScorer().score(file, benchmark: .longWriter)
        #expect(result.score == 95.98078529657477)
        #expect(result.n == 3)
        #expect(abs(result.perSample[2] - 93.609023) < 1e-6)
    }

    @Test("an empty file has no score")
    func emptyFile() async throws {
        let file = Fixtures.predictions.appending(
            path: "longwriter/mistral/preds_ws32_mc4000.0_ea1.0_morph_True_type_sum_fused_git_lenNone_judge.jsonl")
        let result = try await PredictionScorer().score(file, benchmark: .longWriter)
        #expect(result.n == 0)
        #expect(result.score == nil)
    }

    private func check(_ expected: ExpectedScore) async throws {
        let file = Fixtures.predictions.appending(path: expected.path)
        let result = try await PredictionScorer().score(file, benchmark: .longBench)
        #expect(result.dataset == expected.dataset)
        #expect(result.metric == expected.metric)
        #expect(result.n == expected.perSample.count)
        #expect(result.score == expected.score)
        for (index, (score, wanted)) in zip(result.perSample, expected.perSample).enumerated() {
            #expect(abs(score - wanted) < 1e-6, "sample \(index)")
        }
    }
}

/// One entry of `expected.json`.
struct ExpectedScore: Sendable, CustomTestStringConvertible {
    let path: String
    let dataset: String
    let metric: String
    let score: Double
    let perSample: [Double]

    var isChinese: Bool { metric == "rouge_zh_score" || metric == "qa_f1_zh_score" }
    var testDescription: String { "\(dataset) of \(path.split(separator: "/")[1])" }

    static func all() throws -> [ExpectedScore] {
        // Not Foundation's JSON: it does not give every number to the last bit.
        let root = try DataFile(Fixtures.predictions.appending(path: "expected.json")).document()
        return try #require(root.value.members).compactMap { entry in
            guard let dataset = entry.value["dataset"]?.text, let metric = entry.value["metric"]?.text,
                let score = entry.value["score"]?.number, let perSample = entry.value["per_sample"]?.elements
            else { return nil }
            return ExpectedScore(
                path: entry.name, dataset: dataset, metric: metric, score: score,
                perSample: perSample.compactMap(\.number))
        }
        .sorted { $0.path < $1.path }
    }
}
