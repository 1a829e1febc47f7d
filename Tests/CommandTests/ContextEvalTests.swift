import Foundation
import TestSupport
import Testing

/// Benchmarks that ask several questions about one context, as users run them.
@Suite struct ContextEvalTests {
    let folder: EvalFolder

    init() throws { folder = try EvalFolder() }

    private func arguments(_ policy: String, out: String) throws -> [String] {
        ["eval"] + (try folder.benchmark("scbench"))
            + [
                "--model", Fixtures.stories.path, "--threads", "1", "--policy", policy, "--out", folder.path(out), "-n",
                "60",
            ]
    }

    private func answers(_ name: String) throws -> [String: [String]] {
        try folder.lines(name).reduce(into: [:]) { $0[$1["id"] as? String ?? ""] = $1["preds"] as? [String] }
    }

    @Test(
        "a context is cut once for all its questions, which do not change it, also when the run is killed between",
        arguments: ["kvzip:ratio=0.4", "adakv:promptCapacity=24,window=8", "snapkv:promptCapacity=24,window=8"])
    func readOnce(_ policy: String) throws {
        let whole = try Command.run(arguments(policy, out: "whole.jsonl"))
        #expect(whole.status == 0, "\(whole.errors)")
        let lines = try folder.lines("whole.jsonl")
        #expect(lines.count == 5 && lines.allSatisfy { $0["context_reads"] as? Int == 1 })
        let expected = try answers("whole.jsonl")
        // The first and the third question are the same.
        #expect(expected.values.allSatisfy { $0.count == 3 && $0[0] == $0[2] })
        #expect(expected.values.contains { $0[0] != $0[1] })

        let again = try arguments(policy, out: "part.jsonl")
        while try folder.interrupt(again, out: "part.jsonl") {}
        let end = try Command.run(again)
        #expect(end.status == 0 && end.errors.contains("continuing after 5 of 5"), "\(end.errors)")
        #expect(try folder.lines("part.jsonl").count == 5 && answers("part.jsonl") == expected)
        let scored = try Command.run([
            "score", "scbench", "--dataset", "scbench_qa_eng", "--predictions", folder.path("part.jsonl"), "--json",
        ])
        #expect(scored.status == 0, "\(scored.errors)")
    }

    @Test("a policy of constant size reads the context for every question")
    func readForEveryQuestion() throws {
        let result = try Command.run(arguments("streaming:capacity=64", out: "run.jsonl") + ["--samples", "1"])
        #expect(result.status == 0, "\(result.errors)")
        let line = try #require(try folder.lines("run.jsonl").first)
        #expect(line["context_reads"] as? Int == 3)
    }
}
