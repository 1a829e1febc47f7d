import Foundation
import JudgeTestServer
import TestSupport
import Testing

/// Judging as users start it, with a real model's answers and a judge behind a real socket.
@Suite struct JudgeCommandTests {
    let folder: EvalFolder

    init() throws { folder = try EvalFolder() }

    private func run(_ benchmark: String) throws {
        let result = try Command.run(
            ["eval"] + folder.benchmark(benchmark) + [
                "--model", Fixtures.stories.path, "--threads", "1", "-n", "40", "--policy", "full", "--out",
                folder.path("run.jsonl"),
            ])
        #expect(result.status == 0, "\(result.errors)")
    }

    private func judge(_ server: JudgeServer, _ more: [String] = []) throws -> Command.Result {
        try Command.run(
            [
                "judge", folder.path("run.jsonl"), "--judge-url", server.url.absoluteString, "--judge-model", "m",
                "--judge-concurrency", "2",
            ] + more, environment: ["MORPHKV_JUDGE_KEY": "top-secret"])
    }

    @Test("LongGenBench: requests and prompt tokens are said first, the key goes out and is never shown")
    func blocks() async throws {
        try run("longgenbench")
        let server = try await JudgeServer { number, request in
            guard number > 1 else { return .response(status: 429, headers: ["Retry-After": "0"]) }
            return .answer(request.body.contains("include the rain?") ? "no" : "Yes")
        }
        let dry = try judge(server, ["--dry-run", "--judge-price", "2.5"])
        #expect(dry.status == 0 && dry.errors.contains("10 requests, about "), "\(dry.errors)")
        #expect(dry.errors.contains("at 2.5 per million") && server.requests.isEmpty)

        let result = try judge(server)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("accuracy_once 100.00, accuracy_range 0.00, accuracy_periodic 0.00"))
        #expect(server.requests.count == 12)
        #expect(server.requests.allSatisfy { $0.authorization == "Bearer top-secret" })
        #expect(!(result.output + result.errors).contains("top-secret"))
        #expect(try !folder.text(".judge-cache.jsonl").contains("top-secret"))

        let again = try judge(server)
        #expect(again.status == 0 && again.errors.contains("0 requests"), "\(again.errors)")
        #expect(server.requests.count == 12 && again.output == result.output)
        let report = try Command.run(["report", folder.path("run.jsonl"), "--html", folder.path("r.html")])
        #expect(report.output.contains("accuracy_once") && report.output.contains("completion_rate"))
    }

    @Test("LongWriter: six grades with the benchmark's own prompt")
    func quality() async throws {
        try run("longwriter")
        let names = ["Relevance", "Accuracy", "Coherence", "Clarity", "Breadth and Depth", "Reading Experience"]
        let grades = "{" + names.map { "\"\($0)\": 4" }.joined(separator: ", ") + "}"
        let server = try await JudgeServer { _, _ in .answer(grades) }
        let missing = try judge(server)
        #expect(missing.status != 0 && missing.errors.contains("--data"), "\(missing.errors)")
        let result = try judge(server, ["--data", folder.url.path])
        #expect(result.status == 0 && result.output.contains("n = 5") && result.output.contains("quality 75.00"))
        #expect(server.requests.allSatisfy { $0.body.contains("Grade. Tell me about") })
    }

    @Test("an endpoint that refuses ends the command with its words")
    func refusal() async throws {
        try run("longgenbench")
        let server = try await JudgeServer { _, _ in .response(status: 401, body: "bad key top-secret") }
        let result = try judge(server)
        #expect(result.status == 1 && result.errors.contains("401"), "\(result.errors)")
        #expect(result.errors.contains("bad key …") && !result.errors.contains("top-secret"))
        #expect(!FileManager.default.fileExists(atPath: folder.path("run.judge.json")))
    }

    @Test("a local model judges without any endpoint")
    func local() throws {
        try run("longgenbench")
        let call = ["judge", folder.path("run.jsonl"), "--judge-gguf", Fixtures.stories.path, "--threads", "1"]
        let result = try Command.run(call)
        #expect(result.status == 0 && result.output.contains("accuracy_once"), "\(result.errors)")
        let verdicts = try JSONSerialization.jsonObject(with: Data(folder.text("run.judge.json").utf8)) as? [Any]
        #expect(verdicts?.count == 5)
        #expect(try Command.run(call).errors.contains("0 requests"))
    }

    @Test("a judge has to be named completely")
    func options() throws {
        for flags in [[], ["--judge-url", "http://x"], ["--judge-gguf", "m.gguf", "--judge-url", "http://x"]] {
            let result = try Command.run(["judge", "run.jsonl"] + flags)
            #expect(result.status != 0 && result.errors.contains("--judge-"), "\(result.errors)")
        }
    }
}
