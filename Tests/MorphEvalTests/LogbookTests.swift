import Foundation
import MorphKV
import TestSupport
import Testing

@testable import MorphEval

/// The logbook's prompts and scores against `Training/`, which `Fixtures/logbook.py` ran.
@Suite("Logbook") struct LogbookTests {
    private let root: JSONRecord
    private let folder: TemporaryFolder

    init() throws {
        let file = try #require(Bundle.module.url(forResource: "logbook", withExtension: "json"))
        root = try DataFile(file).document()
        folder = try TemporaryFolder()
    }

    private func task(_ record: JSONRecord) throws -> LogbookTask {
        try LogbookTask(seed: UInt32(record.integer("seed")), index: UInt32(record.integer("index")))
    }

    @Test("a seed gives the prompts and checks that the training's generator gives")
    func samePromptsAsTheTraining() throws {
        for record in try root.list("tasks") {
            #expect(try task(record) == LogbookTask(record))
            #expect(try task(record).prompt == record.text("prompt"))
        }
    }

    @Test("sixty prompts in a row begin, end and measure as the training's do")
    func manyPrompts() throws {
        for (index, record) in try root.list("prompts").enumerated() {
            let parts = try #require(record.value.elements)
            let prompt = LogbookTask(seed: 11, index: UInt32(index)).prompt
            let lines = prompt.split(separator: "\n").map(String.init)
            #expect(prompt.count == parts[0].integer)
            #expect(lines[0] == parts[1].text && lines[lines.count - 3] == parts[2].text)
        }
    }

    @Test("correct and damaged answers score as the training's checker scores them")
    func sameScoresAsTheTraining() throws {
        let measures = try root.texts("measures").map { try #require(LogbookScore.CheckKind(rawValue: $0)) }
        #expect(measures == LogbookScore.CheckKind.allCases)
        for record in try root.list("tasks") {
            for answer in try record.list("answers") {
                let score = LogbookScore(try answer.text("answer"), to: try task(record))
                #expect(try measures.map { "\(score.passed($0))" } == answer.texts("passed"))
                #expect(try measures.map { "\(score.checks($0))" } == answer.texts("checks"))
            }
        }
    }

    @Test("a lost value spoils the sums that follow from it, and nothing else")
    func lostState() throws {
        let record = try root.list("tasks")[0]
        let correct = try record.list("answers")[0].text("answer")
        let sums = correct.matches(of: /plus \d+, \w+ \d+, \w+ (\d+)\./)
        let first = try #require(sums.first)
        var spoilt = correct
        spoilt.replaceSubrange(first.output.1.startIndex..<first.output.1.endIndex, with: "98")
        let score = LogbookScore(spoilt, to: try task(record))
        #expect(score.passed(.sum) == score.checks(.sum) - 1 && sums.count == score.checks(.sum))
        for kind in [LogbookScore.CheckKind.completion, .fact, .back, .rule] {
            #expect(score.passed(kind) == score.checks(kind))
        }
    }

    /// Answers the first short logbooks of a seed, so that the test takes seconds.
    private func run(_ policy: any CachePolicy, _ name: String) async throws -> EvaluationRun {
        let model = try Model(contentsOf: Fixtures.logbook)
        let cache = CacheOptions(policy: policy)
        let answering = try SessionModel(model, cache: cache, threads: 1)
        let short = (0..<40).filter { LogbookTask(seed: 8, index: UInt32($0)).number <= 25 }.prefix(2)
        let all = try BenchmarkDefinition.logbook.samples(.init(data: folder.url, dataset: "8"), answering.codec)
        let samples = short.map { all[$0] }
        let settings = try EvaluationSettings("logbook", dataset: "8", samples: samples, model: model, cache: cache)
        let file = folder.url.appending(path: name)
        try await EvaluationRunner(model: answering, settings: settings, samples: samples).run(to: file)
        return try await EvaluationRun(file)
    }

    @Test("with the full cache the model passes the checks, with a small one it does not, and a report shows each kind")
    func forgetting() async throws {
        let full = try await run(FullPolicy(), "full.jsonl")
        let streaming = try await run(StreamingPolicy(capacity: 64), "streaming.jsonl")
        #expect(full.scores.map(\.name) == ["checks", "completion", "fact", "back", "rule", "sum"])
        for score in full.scores { #expect(try #require(score.value) >= 90, "\(score.name)") }
        for score in streaming.scores where score.name != "completion" {
            #expect(try #require(score.value) <= 50, "\(score.name)")
        }
        let report = try EvaluationReport([full, streaming])
        #expect(report.markdown.contains("logbook 8: back"))
    }

    @Test("a seed that is none is an error that says so")
    func wrongSeed() {
        let error = #expect(throws: EvaluationError.self) {
            try BenchmarkDefinition.logbook.samples(.init(data: folder.url, dataset: "eight"), .bytes)
        }
        #expect(error?.description.contains("'eight' is not a seed") == true)
    }
}
