import Foundation
import MorphEval
import MorphKV
import Synchronization
import TestSupport
import Testing

@Suite("Runs")
struct RunTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Answers of which every benchmark's own scoring says that they are perfect.
    @Test(
        "right answers get full marks from the scorer of the benchmark",
        arguments: [
            ("longbench", [["a0"], ["a1"], ["a2"], ["a3"]]), ("longwriter", [["a b c d"], ["一二三四"]]),
            ("longgenbench", [[": a #*# Week 2: b"], [": a #*# Floor 2: b"]]), ("squad", [["one", "two"]]),
            ("niah", Array(repeating: [NeedleHaystack.Needle().answer], count: 6)), ("scbench", [["is u", "v"]]),
            ("gsm8k", [["It is 2."]]), ("gsm8k:gsm", [["The answer is 2."]]),
            ("longbench-v2", [["**The correct answer is (B)**"], ["The correct answer is D."]]),
            ("ruler:niah_multivalue", [["12 and\u{7} 34."]]), ("ruler:qa_1", [["in PARIS"]]),
            ("math", [["so \\boxed{\\dfrac12}"]]), ("math:aime", [["\\boxed{1} or \\boxed{33}"]]),
            ("infinitebench:longbook_choice_eng", [["the answer is: B"]]),
            ("gpqa:diamond-x4", [["Answer: C"], ["answer: $D"], ["So.\nAnswer: C"], ["Answer:B"]]),
        ])
    func fullMarks(_ name: String, _ answers: [[String]]) async throws {
        let (dataset, samples) = try SmallBenchmarks.samples(name, in: folder)
        let next = Mutex(answers[...])
        let model = EchoModel { _ in next.withLock { $0.popFirst() ?? [] } }
        let run = folder.url.appending(path: "run.jsonl")
        let settings = SmallBenchmarks.settings(name, dataset, samples)
        try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: run)

        let benchmark = try BenchmarkRegistry.standard.benchmark(SmallBenchmarks.benchmark(name))
        let result = try await PredictionScorer().score(run, benchmark: benchmark)
        // The needle's score counts found words once and divides by all, and the needle has one word twice.
        let full = name == "niah" ? 100 * 11.0 / 12 : 100
        #expect(abs(try #require(result.score) - full) < 1e-9)
        #expect(result.n == answers.count)
        let report = try await EvaluationRun(run)
        #expect(abs(try #require(report.scores.first?.value) - full) < 1e-9)
        #expect(report.lines.map(\.id) == samples.map(\.id))
    }

    @Test("source code is written down with what its scoring needs")
    func repository() async throws {
        let (dataset, samples) = try SmallBenchmarks.samples("scbench:scbench_repoqa", in: folder)
        let run = folder.url.appending(path: "run.jsonl")
        let settings = SmallBenchmarks.settings("scbench", dataset, samples)
        try await EvaluationRunner(model: EchoModel { _ in ["x"] }, settings: settings, samples: samples).run(to: run)
        let line = try #require(RunJudge.lines(of: run).first).record
        #expect(try line.texts("answers") == ["def f(): pass"] && line.texts("preds") == ["x"])
        #expect(try line.texts("func_name") == ["f"] && line.text("lang") == "python")
    }

    private struct PowerCut: Error {}

    @Test("a run that breaks off after any sample continues without repeating or losing one")
    func resume() async throws {
        let (dataset, samples) = try SmallBenchmarks.samples("longbench", in: folder)
        let settings = SmallBenchmarks.settings("longbench", dataset, samples)
        let whole = folder.url.appending(path: "whole.jsonl")
        let steady = EchoModel { [$0.questions[0].text] }
        try await EvaluationRunner(model: steady, settings: settings, samples: samples).run(to: whole)
        for breakAt in samples.indices {
            let run = folder.url.appending(path: "\(breakAt).jsonl")
            let failing = EchoModel { request in
                guard request.seed < UInt32(breakAt) else { throw PowerCut() }
                return [request.questions[0].text]
            }
            await #expect(throws: PowerCut.self) {
                try await EvaluationRunner(model: failing, settings: settings, samples: samples).run(to: run)
            }
            let model = EchoModel { [$0.questions[0].text] }
            let end = try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: run)
            #expect(end.done == samples.count && end.resumed == breakAt)
            #expect(model.requests.count == samples.count - breakAt)
            #expect(try Data(contentsOf: run) == Data(contentsOf: whole))
        }
    }

    @Test("a file of another run is refused, and the difference is named")
    func mixing() async throws {
        let (dataset, samples) = try SmallBenchmarks.samples("longbench", in: folder)
        let settings = SmallBenchmarks.settings("longbench", dataset, samples)
        let run = folder.url.appending(path: "run.jsonl")
        let model = EchoModel { _ in ["x"] }
        try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: run)
        let before = try Data(contentsOf: run)

        var changes: [(String, (inout EvaluationSettings) -> Void)] = []
        changes.append(("policy full and h2o:capacity=64", { $0.policy = "h2o:capacity=64" }))
        changes.append(("capacity null and 64", { $0.capacity = 64 }))
        changes.append(("seed 0 and 7", { $0.seed = 7 }))
        changes.append(("model fingerprint 0 and 1", { $0.modelFingerprint = "1" }))
        changes.append(("chat template true and false", { $0.usesChatTemplate = false }))
        changes.append(("max tokens null and 9", { $0.maximumNewTokens = 9 }))
        for (words, change) in changes {
            var other = settings
            change(&other)
            let error = await #expect(throws: EvaluationError.self) {
                try await EvaluationRunner(model: model, settings: other, samples: samples).run(to: run)
            }
            #expect(error?.kind == .differentRun)
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
        let fewer = Array(samples.prefix(2))
        let error = await #expect(throws: EvaluationError.self) {
            let settings = SmallBenchmarks.settings("longbench", dataset, fewer)
            try await EvaluationRunner(model: model, settings: settings, samples: fewer).run(to: run)
        }
        #expect(error?.description.contains("samples 4 and 2") == true)
        #expect(try Data(contentsOf: run) == before)
    }

    @Test("lines that stand twice or belong to no sample are refused")
    func damagedRun() async throws {
        let (dataset, samples) = try SmallBenchmarks.samples("longbench", in: folder)
        let settings = SmallBenchmarks.settings("longbench", dataset, samples)
        let run = folder.url.appending(path: "run.jsonl")
        let runner = EvaluationRunner(model: EchoModel { _ in ["x"] }, settings: settings, samples: samples)
        try await runner.run(to: run)
        let text = try String(contentsOf: run, encoding: .utf8)
        let first = String(try #require(text.split(separator: "\n").first))
        let cases: [(String, String)] = [
            (first, "is there twice"),
            (first.replacing("hotpotqa/0", with: "hotpotqa/9"), "has no sample 'hotpotqa/9'"),
        ]
        for (extra, problem) in cases {
            try Data((text + extra + "\n").utf8).write(to: run)
            let error = await #expect(throws: EvaluationError.self) { try await runner.run(to: run) }
            #expect(error?.kind == .format && error?.line == 5)
            #expect(error?.description.contains(problem) == true)
        }
    }

    @Test("unknown benchmarks and datasets are refused with a list of what there is")
    func names() throws {
        #expect(throws: EvaluationError.self) { try BenchmarkRegistry.standard.benchmark("nothing") }
        let source = try BenchmarkRegistry.standard.benchmark("longbench")
        let error = #expect(throws: EvaluationError.self) { try source.dataset(named: nil) }
        #expect(error?.description.contains("passage_count") == true)
        #expect(throws: EvaluationError.self) { try source.dataset(named: "nothing") }
        #expect(try BenchmarkRegistry.standard.benchmark("longgenbench").dataset(named: nil) == "short")
    }

    @Test("a run states which calibration its policy was under, if it needs one; under another it is another run")
    func calibration() async throws {
        let samples = try SmallBenchmarks.samples("squad", in: folder).1
        let model = try Model(contentsOf: Fixtures.diary)
        func settings(_ policy: any CachePolicy) throws -> EvaluationSettings {
            try EvaluationSettings(
                "squad", dataset: "squad", samples: samples, model: model, cache: CacheOptions(policy: policy))
        }
        let digest = try #require(try model.calibration()).digest
        let augur = try settings(AugurPolicy(capacity: 64))
        #expect(augur.calibration == digest)
        #expect(try settings(KVzipPolicy(scores: .augur)).calibration == digest)
        #expect(try settings(KVzipPolicy()).calibration == nil)
        #expect(try settings(MorphKVPolicy(capacity: 64)).calibration == nil)
        let run = folder.url.appending(path: "run.jsonl")
        func evaluate(_ settings: EvaluationSettings) async throws {
            let model = EchoModel { _ in ["one", "two"] }
            try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: run)
        }
        try await evaluate(augur)
        try await evaluate(augur)
        #expect(try await EvaluationRun(run).settings == augur)
        var other = augur
        other.calibration = "0123456789abcdef"
        let error = await #expect(throws: EvaluationError.self) { try await evaluate(other) }
        #expect(error?.kind == .differentRun && error?.description.contains("calibration \(digest) and 0123") == true)
    }
}
