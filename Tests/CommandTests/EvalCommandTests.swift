import Foundation
import TestSupport
import Testing

/// Runs of benchmarks as users start them, with a real model, interrupted and continued.
@Suite struct EvalCommandTests {
    let folder: EvalFolder

    init() throws { folder = try EvalFolder() }

    private func arguments(_ benchmark: [String], out: String, _ more: [String] = []) -> [String] {
        ["eval"] + benchmark + ["--model", Fixtures.stories.path, "--threads", "1", "--out", folder.path(out)] + more
    }

    private func eval(_ benchmark: [String], out: String, _ more: [String] = []) throws -> Command.Result {
        try Command.run(arguments(benchmark, out: out, more))
    }

    @Test(
        "killed again and again and continued, a run has every sample once, with the same answers",
        arguments: [("longgenbench", "response"), ("longwriter", "response"), ("longbench", "pred")])
    func killed(_ benchmark: String, _ field: String) throws {
        let data = try folder.benchmark(benchmark)
        let flags = ["--capacity", "32", "--window", "8", "-n", "300", "--temperature", "0.8", "--seed", "3"]
        let whole = try eval(data, out: "whole.jsonl", flags)
        #expect(whole.status == 0, "\(whole.errors)")

        let again = arguments(data, out: "part.jsonl", flags)
        var kills = 0
        while try folder.interrupt(again, out: "part.jsonl") { kills += 1 }
        #expect(kills >= 1)
        let end = try Command.run(again)
        #expect(end.status == 0 && end.errors.contains("continuing after 5 of 5"), "\(end.errors)")

        let (expected, lines) = (try folder.lines("whole.jsonl"), try folder.lines("part.jsonl"))
        #expect(lines.count == 5 && lines.map { $0["id"] as? String } == expected.map { $0["id"] as? String })
        #expect(lines.map { $0[field] as? String } == expected.map { $0[field] as? String })
        #expect(Set(lines.compactMap { $0[field] as? String }).count == 5)
        let scored = try Command.run(["score", benchmark, "--predictions", folder.path("part.jsonl"), "--json"])
        #expect(scored.status == 0 && scored.output.contains(#""n":5"#), "\(scored.errors)")
    }

    @Test("several samples at a time get the same answers")
    func parallel() throws {
        let data = try folder.benchmark("longwriter")
        let flags = ["-n", "80", "--capacity", "32", "--window", "8", "--temperature", "0.8"]
        #expect(try eval(data, out: "one.jsonl", flags).status == 0)
        let result = try eval(data, out: "three.jsonl", flags + ["--parallel", "3"])
        #expect(result.status == 0, "\(result.errors)")
        func answers(_ name: String) throws -> [String: String] {
            try folder.lines(name).reduce(into: [:]) { $0[$1["id"] as? String ?? ""] = $1["response"] as? String }
        }
        #expect(try answers("one.jsonl") == answers("three.jsonl"))
        #expect(try folder.lines("three.jsonl").count == 5)
        #expect(try folder.lines("three.jsonl").allSatisfy { $0["samples_at_a_time"] as? Int == 3 })
    }

    @Test("a sample that is asked several times gets other answers, and the mean of all is the score")
    func repeated() throws {
        try folder.write(#"{"problem": "1 + 1?", "answer": "2"}"#, to: "test.jsonl")
        let flags = ["--repeats", "3", "--temperature", "1", "-n", "12", "--capacity", "32", "--window", "8", "--raw"]
        #expect(try eval(["math", "--data", folder.path("test.jsonl")], out: "run.jsonl", flags).status == 0)
        let lines = try folder.lines("run.jsonl")
        #expect(lines.map { $0["id"] as? String } == ["math500/0", "math500/0#2", "math500/0#3"])
        #expect(Set(lines.compactMap { $0["pred"] as? String }).count == 3)
        let report = try Command.run(["report", folder.path("run.jsonl")])
        #expect(report.status == 0 && report.output.contains("12, 100 %"), "\(report.output)")
    }

    @Test("a line records tokens, policy, memory, times, seed and model")
    func record() throws {
        let data = try folder.benchmark("longwriter")
        let result = try eval(
            data, out: "run.jsonl", ["--samples", "2", "-n", "100", "--policy", "morphkv:capacity=32,window=8"])
        #expect(result.status == 0 && result.output.isEmpty, "\(result.errors)")
        #expect(result.errors.contains("2 of 2"))
        let line = try #require(try folder.lines("run.jsonl").last)
        #expect(line["id"] as? String == "longbench_write/1" && line["length"] as? Int == 100)
        #expect(line["response_tokens"] as? Int == 100 && line["prompt_was_cut"] as? Bool == false)
        let (cache, peak) = (line["cache_bytes"] as? Int ?? 0, line["peak_bytes"] as? Int ?? 0)
        #expect(cache > 0 && peak > cache && (line["prompt_tokens"] as? Int ?? 0) > 5)
        #expect((line["prefill_seconds"] as? Double ?? 0) > 0 && (line["decode_seconds"] as? Double ?? 0) > 0)
        let run = try #require(line["run"] as? [String: Any])
        #expect(run["policy"] as? String == "morphkv:capacity=32,window=8" && run["capacity"] as? Int == 32)
        #expect(run["seed"] as? Int == 0 && run["samples"] as? Int == 2 && run["max_tokens"] as? Int == 100)
        #expect(run["model"] as? String == "stories260K.gguf" && (run["model_fingerprint"] as? String)?.count == 16)
    }

    @Test(
        "with --bytes each sample's cache has a share of what the full cache took, everything counted, and the report says so"
    )
    func shares() throws {
        let data = try folder.benchmark("longwriter")
        let full = try eval(data, out: "full.jsonl", ["--samples", "2", "-n", "60", "--policy", "full"])
        #expect(full.status == 0, "\(full.errors)")
        let share = ["--samples", "2", "-n", "60", "--policy", "tova", "--bytes", "1/2"]
        let own = try eval(data, out: "own.jsonl", share + ["--full-run", folder.path("full.jsonl")])
        #expect(own.status == 0, "\(own.errors)")
        for (line, whole) in zip(try folder.lines("own.jsonl"), try folder.lines("full.jsonl")) {
            let tokens = try #require(whole["sequence_tokens"] as? Int)
            #expect(tokens == (whole["prompt_tokens"] as? Int ?? 0) + (whole["response_tokens"] as? Int ?? 0))
            // Keys and values of a token have 640 bytes.
            #expect(line["budget_bytes"] as? Int == 320 * tokens)
            let bytes = try #require(line["cache_bytes"] as? Int)
            #expect(bytes <= 320 * tokens && bytes > 288 * tokens)
            #expect((line["capacity"] as? Int ?? 0) > 10)
            let run = try #require(line["run"] as? [String: Any])
            #expect(run["policy"] as? String == "tova" && run["capacity"] is NSNull)
            #expect((run["budget"] as? String)?.hasPrefix("1/2 of the full cache at its own") == true)
        }
        let limit = try eval(data, out: "limit.jsonl", share)
        #expect(limit.status == 0, "\(limit.errors)")
        let report = try Command.run(
            ["report", folder.path("own.jsonl"), folder.path("limit.jsonl"), "--html", folder.path("r.html")])
        #expect(report.output.contains("| model | policy | bytes |") && report.output.contains("bytes were allowed"))
        // Another run's lengths, and a run that is not of the full cache.
        let samples = ["--samples", "3", "-n", "60", "--policy", "tova", "--bytes", "1/2", "--full-run"]
        let unknown = try eval(data, out: "a.jsonl", samples + [folder.path("full.jsonl")])
        #expect(unknown.status != 0 && unknown.errors.contains("longbench_write/2"), "\(unknown.errors)")
        let other = try eval(data, out: "b.jsonl", samples + [folder.path("own.jsonl")])
        #expect(other.status != 0 && other.errors.contains("full cache is needed"), "\(other.errors)")
    }

    @Test("another run's file is refused and stays as it is")
    func mixing() throws {
        let data = try folder.benchmark("longwriter")
        let flags = ["--samples", "2", "-n", "8"]
        #expect(try eval(data, out: "run.jsonl", flags + ["--capacity", "64"]).status == 0)
        let before = try folder.text("run.jsonl")
        let other = try eval(data, out: "run.jsonl", flags + ["--capacity", "128"])
        #expect(other.status == 1 && other.errors.contains("capacity 64 and 128"), "\(other.errors)")
        #expect(try folder.text("run.jsonl") == before)
        try folder.write("my notes", to: "notes.txt")
        let notes = try eval(data, out: "notes.txt", flags)
        #expect(notes.status == 1 && notes.errors.contains("stays as it is"), "\(notes.errors)")
        #expect(try folder.text("notes.txt") == "my notes")
    }

    @Test("a full disk ends a run with an error and whole lines, and the run continues when there is room")
    func fullDisk() throws {
        let data = try folder.benchmark("longwriter")
        let call = arguments(data, out: "run.jsonl", ["-n", "8"])
        let full = try Command.run(call, bytes: Data(), shell: "ulimit -f 4")
        #expect(full.status == 1 && full.errors.contains("File too large"), "\(full.errors)")
        let before = try folder.lines("run.jsonl").count
        #expect(before > 0 && before < 5 && folder.lineCount("run.jsonl") == before)
        #expect(try folder.text("run.jsonl").hasSuffix("\n"))
        let rest = try Command.run(call)
        #expect(rest.status == 0 && rest.errors.contains("continuing after \(before) of 5"), "\(rest.errors)")
        #expect(try Set(folder.lines("run.jsonl").compactMap { $0["id"] as? String }).count == 5)
    }

    @Test("mistakes are named before anything is computed")
    func mistakes() throws {
        try folder.write("", to: "empty.jsonl")
        let data = try folder.benchmark("longwriter")
        for (benchmark, flags, message) in [
            (["nothing", "--data", "x"], [], "longgenbench"),
            (["longbench", "--data", folder.url.path], [], "passage_count"),
            (["longwriter", "--data", folder.path("absent")], [], "absent"),
            (["longwriter", "--data", folder.path("empty.jsonl")], [], "no samples"),
            (data, ["--samples-per-type", "2"], "longgenbench"), (data, ["--samples", "0"], "--samples 0"),
            (data, ["--repeats", "2"], "--temperature"),
            (data, ["--repeats", "1001", "--temperature", "1"], "at most"),
            (try folder.benchmark("niah"), ["--depths", "101"], "0 to 100"),
            (try folder.benchmark("niah"), ["--lengths", "9,x"], "'x'"), (data, ["--report"], "morphkv report"),
            (Array(data.dropLast()), ["-n", "4"], "--raw"),
        ] {
            let result = try eval(benchmark, out: "run.jsonl", flags)
            #expect(result.status != 0 && result.status < 128, "\(benchmark) \(flags)")
            #expect(result.errors.contains(message), "\(result.errors)")
            #expect(folder.lineCount("run.jsonl") == 0)
        }
    }

    @Test("niah --report draws depth and length as a table and as a page")
    func needle() throws {
        let result = try eval(
            folder.benchmark("niah"), out: "needle.jsonl",
            ["--policy", "streaming:capacity=64", "-n", "8", "--report"])
        #expect(result.status == 0, "\(result.errors)")
        let rows = result.output.split(separator: "\n")
        #expect(rows.count == 5 && rows[0].contains("| 100 | 200 |") && rows[4].hasPrefix("| 100 | "))
        #expect(try folder.lines("needle.jsonl").count == 6)
        #expect(try folder.text("needle.html").contains("<svg"))
    }

    @Test("logbooks need neither files nor the path of their model, and the report shows each kind of check")
    func builtIn() throws {
        for (name, flags) in [("full", ["--policy", "full"]), ("few", ["--policy", "streaming:capacity=64"])] {
            let result = try Command.run(
                ["eval", "logbook", "--model", "logbook", "--samples", "1", "-n", "60", "--threads", "1"]
                    + ["--out", folder.path("\(name).jsonl")] + flags)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try folder.lines("\(name).jsonl").map { $0["id"] as? String } == ["8/0"])
        }
        let runs = ["full", "few"].map { folder.path("\($0).jsonl") }
        let report = try Command.run(["report"] + runs + ["--html", folder.path("r.html")])
        #expect(report.status == 0, "\(report.errors)")
        for kind in ["checks", "completion", "fact", "back", "rule", "sum"] {
            #expect(report.output.contains("logbook 8: \(kind)"), "\(report.output)")
        }
    }

    @Test("report compares policies in a table and a page, and refuses runs on different samples")
    func report() throws {
        let data = try folder.benchmark("longwriter")
        for (name, flags) in [
            ("full", ["--policy", "full"]), ("a", ["--capacity", "32", "--window", "8"]),
            ("b", ["--capacity", "64", "--window", "8"]),
        ] {
            #expect(try eval(data, out: "\(name).jsonl", flags + ["-n", "60"]).status == 0)
        }
        let runs = ["full", "a", "b"].map { folder.path("\($0).jsonl") }
        let result = try Command.run(["report"] + runs + ["--html", folder.path("r.html")])
        #expect(result.status == 0, "\(result.errors)")
        for text in ["| full |", "morphkv:capacity=32,window=8", "length_score", "n = 5"] {
            #expect(result.output.contains(text), "\(result.output)")
        }
        #expect(try folder.text("r.html").contains("Memory of the cache against response length"))

        #expect(
            try eval(data, out: "few.jsonl", ["--samples", "2", "-n", "60", "--policy", "h2o:capacity=64"]).status == 0)
        let mixed = ["report"] + runs + [folder.path("few.jsonl"), "--html", folder.path("mixed.html")]
        let refused = try Command.run(mixed)
        #expect(refused.status == 1 && refused.errors.contains("only in full.jsonl"), "\(refused.errors)")
        #expect(refused.output.isEmpty && !FileManager.default.fileExists(atPath: folder.path("mixed.html")))
        let allowed = try Command.run(mixed + ["--allow-different"])
        #expect(allowed.status == 0 && allowed.output.contains("only in full.jsonl"), "\(allowed.errors)")
    }
}
