import Foundation
import TestSupport
import Testing

/// Runs in parts and their comparison, as users start them.
@Suite struct ShardCommandTests {
    private let folder: EvalFolder

    init() throws { folder = try EvalFolder() }

    private func eval(_ name: String, _ flags: [String]) throws {
        let result = try Command.run(
            ["eval"] + folder.benchmark("longgenbench") + [
                "--model", Fixtures.stories.path, "--threads", "1", "-n", "40", "--out", folder.path(name),
            ] + flags)
        #expect(result.status == 0, "\(result.errors)")
    }

    private func report(_ arguments: [String]) throws -> Command.Result {
        try Command.run(
            ["report", "--html", folder.path("report.html")]
                + arguments.map { $0.contains("jsonl") ? folder.path($0) : $0 })
    }

    /// The cells of the table's first row, the speed left out.
    private func scores(_ result: Command.Result) throws -> Substring {
        let row = try #require(result.output.split(separator: "\n").dropFirst(2).first, "\(result.errors)")
        return row.split(separator: "|").dropLast().joined(separator: "|")[...]
    }

    @Test("two parts have the answers and the scores of the whole; without one its absence is said")
    func parts() throws {
        try eval("whole.jsonl", ["--policy", "full"])
        for part in [2, 1] { try eval("part-\(part).jsonl", ["--policy", "full", "--shard", "\(part)/2"]) }
        func answers(_ name: String) throws -> [String: String] {
            try folder.lines(name).reduce(into: [:]) { $0[$1["id"] as? String ?? ""] = $1["response"] as? String }
        }
        let parts = try answers("part-1.jsonl").merging(answers("part-2.jsonl")) { _, _ in "twice" }
        #expect(try parts == answers("whole.jsonl") && parts.count == 5)
        let whole = try report(["whole.jsonl"])
        #expect(try scores(report(["part-2.jsonl", "part-1.jsonl"])) == scores(whole))
        #expect(whole.output.contains("whole.jsonl: `morphkv eval longgenbench"))
        let half = try report(["part-2.jsonl"])
        #expect(half.status == 0 && half.output.contains("2 of the 5 samples") && half.output.contains("missing: 1/2"))
        let judged = try Command.run([
            "judge", folder.path("part-1.jsonl"), folder.path("part-2.jsonl"), "--judge-gguf", Fixtures.stories.path,
            "--threads", "1",
        ])
        #expect(judged.status == 0 && judged.output.contains("n = 5: accuracy_once"), "\(judged.errors)")
    }

    @Test("runs are compared with one of them, which need not be named twice")
    func compare() throws {
        try eval("full.jsonl", ["--policy", "full"])
        try eval("small.jsonl", ["--policy", "streaming:capacity=16,sinks=1"])
        let result = try report(["small.jsonl", "--compare", "full.jsonl"])
        #expect(result.status == 0 && result.output.contains("| policy | score | difference |"), "\(result.errors)")
        #expect(result.output.contains("against full on the same samples"))
        let nobody = try report(["small.jsonl", "--compare", "nothing.jsonl"])
        #expect(nobody.status == 1 && nobody.errors.contains("nothing.jsonl"))
    }

    @Test("a part that there is none of is refused", arguments: ["0/2", "3/2", "2", "a/b"])
    func mistakes(_ part: String) throws {
        let result = try Command.run(
            ["eval"] + folder.benchmark("longgenbench") + [
                "--model", Fixtures.stories.path, "--out", folder.path("x.jsonl"), "--shard", part,
            ])
        #expect(
            result.status != 0 && result.errors.contains(part) && result.errors.contains("3/16"), "\(result.errors)")
    }
}
