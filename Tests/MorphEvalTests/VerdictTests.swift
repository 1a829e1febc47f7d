import Foundation
import JudgeTestServer
import MorphEval
import Synchronization
import TestSupport
import Testing

/// A judge inside the test that knows how many questions it is asked at a time.
private actor WaitingJudge: Judge {
    nonisolated let identity = "waiting"
    nonisolated let concurrency = 3
    private(set) var asked = 0
    private(set) var most = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Answers once as many questions wait as it takes at a time.
    func answer(_ question: JudgeQuestion) async throws -> String {
        asked += 1
        await withCheckedContinuation { continuation in
            waiting.append(continuation)
            most = max(most, waiting.count)
            guard waiting.count == concurrency else { return }
            waiting.forEach { $0.resume() }
            waiting = []
        }
        return question.prompt
    }
}

@Suite("Verdicts")
struct VerdictTests {
    let folder: TemporaryFolder
    private let run: URL

    init() throws {
        folder = try TemporaryFolder()
        run = folder.url.appending(path: "run.jsonl")
    }

    private func write(_ benchmark: String, _ answers: [String]) async throws {
        let (dataset, samples) = try SmallBenchmarks.samples(benchmark, in: folder)
        let model = EchoModel { [answers[Int($0.seed)]] }
        let settings = SmallBenchmarks.settings(benchmark, dataset, samples)
        try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: run)
    }

    private func panel(_ server: JudgeServer, cache: String = "cache.jsonl") throws -> JudgePanel {
        var retry = RetryPolicy()
        retry.firstDelay = .milliseconds(1)
        let judge = try HTTPJudge(url: server.url, model: "m", key: nil, retry: retry)
        return JudgePanel(judge: judge, cache: try JudgeCache(folder.url.appending(path: cache)))
    }

    private func scores() async throws -> [String: Double] {
        try await EvaluationRun(run).scores.dropFirst().reduce(into: [:]) { $0[$1.name] = $1.value }
    }

    @Test("LongGenBench: every block that is there is asked about, and a shaky endpoint changes nothing")
    func blocks() async throws {
        try await write("longgenbench", [": a party#*# Week 2: fair", ": nothing"])
        let server = try await JudgeServer { number, request in
            guard number % 3 != 0 else { return .response(status: number % 2 == 0 ? 429 : 500) }
            // The event of the question, not of the examples, is looked for in the block.
            let question = request.body.split(separator: "### Refer").last ?? ""
            let isThere = ["party", "fair"].contains { question.split(separator: $0).count > 2 }
            return .answer(isThere ? "Yes." : "No.")
        }
        try await RunJudge(panel: panel(server), task: BlockVerdicts()).judge(run)
        let scores = try await scores()
        // Once: party and fair; the pool's floor is missing and not asked about. Range: rain is not there.
        // Periodic: the lamp's floor exists and lacks it.
        #expect(scores["accuracy_once"] == 100 && scores["accuracy_range"] == 0)
        #expect(scores["accuracy_periodic"] == 0)
        let published = LongGenBenchAccuracy(verdicts: [.once: [true, true], .range: [false], .periodic: [false]])
        #expect(abs(try #require(scores["accuracy"]) - 100 * published.average) < 1e-9)
    }

    @Test("no question is asked twice, neither in one call nor in the next")
    func cache() async throws {
        try await write("longgenbench", [": a#*# Week 2: b", ": c#*# Floor 2: d"])
        let server = try await JudgeServer { _, _ in .answer("yes") }
        let line = try #require(RunJudge.lines(of: run).first)
        let questions = try BlockVerdicts().questions(about: line)
        do {
            let panel = try panel(server)
            let estimate = await panel.estimate(questions + questions)
            #expect(estimate.questions == 3 && estimate.requests == 3 && estimate.promptTokens > 300)
            try await RunJudge(panel: panel, task: BlockVerdicts()).judge(run)
        }
        let asked = server.requests.count
        #expect(asked == 5)
        let again = try panel(server)
        #expect(await again.estimate(questions).requests == 0)
        try await RunJudge(panel: again, task: BlockVerdicts()).judge(run)
        #expect(server.requests.count == asked)
        let key = try String(contentsOf: folder.url.appending(path: "cache.jsonl"), encoding: .utf8)
        #expect(key.split(separator: "\n").count == asked)
    }

    @Test("questions are asked several at a time, never more than the limit")
    func concurrency() async throws {
        let judge = WaitingJudge()
        let panel = JudgePanel(judge: judge, cache: try JudgeCache(folder.url.appending(path: "c.jsonl")))
        let questions = (0..<12).map { JudgeQuestion(prompt: "\($0)", maximumTokens: 1, temperature: 0) }
        let answers = try await panel.answers(to: questions + questions)
        #expect(answers.count == 12 && questions.allSatisfy { answers[$0] == $0.prompt })
        #expect(await judge.asked == 12)
        #expect(await judge.most == 3)
    }

    @Test("what was answered before a failure is kept")
    func failure() async throws {
        try await write("longgenbench", [": a#*# Week 2: b", ": c#*# Floor 2: d"])
        let isBroken = Mutex(true)
        let server = try await JudgeServer { number, _ in
            number >= 2 && isBroken.withLock(\.self) ? .response(status: 400, body: "quota") : .answer("yes")
        }
        let judge = try HTTPJudge(url: server.url, model: "m", key: nil, concurrency: 1)
        do {
            let cache = try JudgeCache(folder.url.appending(path: "cache.jsonl"))
            let error = await #expect(throws: EvaluationError.self) {
                try await RunJudge(panel: JudgePanel(judge: judge, cache: cache), task: BlockVerdicts()).judge(run)
            }
            #expect(error?.description.contains("quota") == true)
        }
        #expect(try await scores().isEmpty)
        isBroken.withLock { $0 = false }
        let before = server.requests.count
        try await RunJudge(panel: panel(server), task: BlockVerdicts()).judge(run)
        #expect(server.requests.count == before + 3)
        #expect(try await scores()["accuracy"] == 100)
    }

    @Test("LongWriter: six grades, asked for anew when the reply cannot be read")
    func quality() async throws {
        try await write("longwriter", ["one", "two"])
        let prompt = try LongWriter.judgePrompt(at: folder.write("Q: $INST$ A: $RESPONSE$", to: "judge.txt"))
        let grades = QualityVerdicts.dimensions.enumerated().map { "\"\($1)\": \($0 < 3 ? 5 : 3)" }.joined(
            separator: ",")
        let server = try await JudgeServer { _, request in
            if request.body.contains("A: one") { return .answer("```json\n{\(grades)}\n```") }
            return .answer("{\"Relevance\": 5}")
        }
        try await RunJudge(panel: panel(server), task: QualityVerdicts(prompt: prompt)).judge(run)
        // The second result never gets grades: five tries, and it does not count.
        #expect(server.requests.count == 6)
        let scores = try await scores()
        #expect(scores["Relevance"] == 100 && scores["Reading Experience"] == 50 && scores["quality"] == 75)
    }

    @Test(
        "replies are read as the published code reads them",
        arguments: [
            (
                #"{"Relevance": 1, "Accuracy": "2", "Coherence": 3.5,"# + "\n"
                    + #""Clarity": 4, "Breadth and Depth": 5, "Reading Experience": 1}"#, [1, 2, 3.5, 4, 5, 1]
            ),
            (#"Here: ```json"# + "\n{}\n```", nil), ("5, 5, 5, 5, 5, 5", nil), ("", nil),
        ] as [(String, [Double]?)])
    func grades(_ reply: String, _ expected: [Double]?) { #expect(QualityVerdicts.grades(in: reply) == expected) }

    @Test("verdicts about other answers are refused")
    func staleVerdicts() async throws {
        try await write("longwriter", ["one", "two"])
        let prompt = try LongWriter.judgePrompt(at: folder.write("$INST$ $RESPONSE$", to: "judge.txt"))
        let server = try await JudgeServer { _, _ in .answer("{}") }
        try await RunJudge(panel: panel(server), task: QualityVerdicts(prompt: prompt)).judge(run)
        try FileManager.default.removeItem(at: run)
        try await write("longwriter", ["one", "three"])
        let error = await #expect(throws: EvaluationError.self) { try await scores() }
        #expect(error?.kind == .judge && error?.description.contains("judge the run again") == true)
    }
}
