import CustomBenchmark
import Foundation
import MorphEval
import MorphKV
import Testing

/// The whole way, on a tiny model with random weights: samples, answers under two policies, scores, report.
@Suite final class PhoneBookTests {
    private static let package = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    private let names: URL
    private let model: Model

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        names = folder.appendingPathComponent("names.txt")
        try "Ada\nBea\nCarl\nDora".write(to: names, atomically: true, encoding: .utf8)
        model = try Model.random(
            at: folder.appendingPathComponent("random.gguf"),
            tokenizerOf: Self.package.appendingPathComponent("Sources/MorphKVCommand/Resources/diary.gguf"))
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    @Test func everyPolicyHasARowWithItsScore() async throws {
        let policies = ["full", "streaming:capacity=16"]
        let report = try await PhoneBook.compare(model, policies: policies, names: names, in: folder)
        #expect(report.markdown.contains("phonebook short: digits"))
        for policy in policies { #expect(report.markdown.contains("| \(policy)")) }
        #expect(report.markdown.contains("n = 4"))
        #expect(report.html.contains("<table>"))
    }

    @Test func aSecondCallAsksNothingAgain() async throws {
        _ = try await PhoneBook.compare(model, policies: ["full"], names: names, in: folder)
        let file = folder.appendingPathComponent("run-0.jsonl")
        let before = try Data(contentsOf: file)
        _ = try await PhoneBook.compare(model, policies: ["full"], names: names, in: folder)
        #expect(try Data(contentsOf: file) == before)
        let run = try await EvaluationRun(file, benchmarks: .standard.adding(PhoneBook.benchmark))
        #expect(run.settings.policy == "full" && run.scores.map(\.name) == ["digits"] && run.scores[0].count == 4)
    }

    @Test func theRightNumbersGetFullMarks() async throws {
        let lines = """
            {"pred": " 1000.", "answers": ["1000"]}
            {"pred": "It is 1009", "answers": ["1000"]}
            """
        let file = folder.appendingPathComponent("predictions.jsonl")
        try lines.write(to: file, atomically: true, encoding: .utf8)
        let score = try await PredictionScorer().score(file, benchmark: PhoneBook.benchmark)
        #expect(score.perSample == [1, 0.75] && score.metric == "digits")
    }
}
