import Foundation
import TestSupport
import Testing

/// Compressing once and asking many times, from the command line and across processes.
@Suite struct ContextCommandTests {
    private let folder: TemporaryFolder
    private let text: URL

    init() throws {
        folder = try TemporaryFolder()
        text = try folder.write(
            """
            Ben had a red kite. He loved to play with his kite in the big park near his house. One day, Ben and his mom went to
            the park. The wind was very strong. Ben ran and ran, and the kite went up, up, up into the blue sky.
            """, to: "text.txt")
    }

    private var files: [String] { (try? folder.names) ?? [] }

    private func compress(_ name: String, _ flags: [String] = []) throws -> (Command.Result, String) {
        let path = folder.path(name)
        let result = try Command.run(
            ["compress", "--threads", "1", "--model", Fixtures.stories.path, "--context", text.path, "--out", path]
                + flags)
        return (result, path)
    }

    private func ask(_ context: String, _ questions: [String], _ flags: [String] = []) throws -> Command.Result {
        try Command.run(
            ["ask", "--threads", "1", "--model", Fixtures.stories.path, "--context", context, "-n", "8"] + questions
                + flags)
    }

    @Test func aContextIsCompressedOnceAndAskedInOtherProcesses() throws {
        let (result, path) = try compress("a.gguf", ["--ratio", "0.5", "--json"])
        #expect(result.status == 0, "\(result.errors)")
        let report = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        let (bytes, whole) = (try #require(report["bytes"] as? Int), try #require(report["wholeBytes"] as? Int))
        #expect(bytes < whole * 6 / 10)
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let one = try ask(path, [" Ben was"])
        let three = try ask(path, [" The kite", " Ben was", " Mom said"], ["--parallel", "3"])
        #expect(one.status == 0 && !one.output.isEmpty && one.errors.isEmpty)
        #expect(three.output.contains(">  Ben was\n" + one.output))
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        let constant = try ask(path, [" Ben was"], ["--policy", "streaming:capacity=8,sinks=0", "--json"])
        #expect(constant.status == 0 && constant.output.contains("\"tokens\":8"))
    }

    @Test("a saved context is made smaller, and whole heads are cut by scores from a file")
    func contextsAreCutAgain() throws {
        let (first, path) = try compress("a.gguf", ["--ratio", "1", "--save-heads", folder.path("heads.json")])
        #expect(first.status == 0, "\(first.errors)")
        let again = try Command.run([
            "compress", "--threads", "1", "--model", Fixtures.stories.path, "--context", path, "--ratio", "0.3",
            "--level",
            "uniform", "--out", folder.path("b.gguf"),
        ])
        #expect(again.status == 0, "\(again.errors)")
        #expect(try ask(folder.path("b.gguf"), [" Ben"]).status == 0)
        let (byHeads, heads) = try compress(
            "c.gguf", ["--heads", folder.path("heads.json"), "--ratio", "0.5", "--recent", "16"])
        #expect(byHeads.status == 0, "\(byHeads.errors)")
        #expect(try ask(heads, [" Ben"]).status == 0)
    }

    @Test("scores are written and used in the forms of KVzip and DuoAttention too")
    func headsOfOthers() throws {
        let flags = ["--ratio", "0.5", "--recent", "16"]
        var contexts: [Data] = []
        for form in ["json", "pt", "tsv"] {
            let heads = folder.path("heads.\(form)")
            let (saved, _) = try compress("a.gguf", ["--ratio", "1", "--save-heads", heads])
            #expect(saved.status == 0, "\(saved.errors)")
            let (cut, path) = try compress("b.gguf", ["--heads", heads, "--heads", heads] + flags)
            #expect(cut.status == 0, "\(cut.errors)")
            contexts.append(try Data(contentsOf: URL(fileURLWithPath: path)))
        }
        #expect(contexts[1] == contexts[0] && contexts[2] == contexts[0])
        try folder.write("1\t1\n", to: "small.tsv")
        let (other, _) = try compress("c.gguf", ["--heads", folder.path("small.tsv")])
        #expect(other.status == 1 && other.errors.contains("1 layers with 2 heads"), "\(other.errors)")
    }

    @Test("scores are written and used in one call, and are new even where the file was there before")
    func headsAreSavedAndUsed() throws {
        let heads = folder.path("heads.json")
        let flags = ["--ratio", "0.5", "--recent", "16"]
        let (atOnce, one) = try compress("a.gguf", ["--save-heads", heads, "--heads", heads] + flags)
        #expect(atOnce.status == 0, "\(atOnce.errors)")
        let (after, two) = try compress("b.gguf", ["--heads", heads] + flags)
        #expect(after.status == 0, "\(after.errors)")
        let expected = try Data(contentsOf: URL(fileURLWithPath: two))
        #expect(try Data(contentsOf: URL(fileURLWithPath: one)) == expected)
        try folder.write("not scores", to: "heads.json")
        let (again, three) = try compress("c.gguf", ["--save-heads", heads, "--heads", heads] + flags)
        #expect(again.status == 0, "\(again.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: three)) == expected)
    }

    @Test(
        "mistakes are named and leave no file",
        arguments: [
            (["--ratio", "2"], "ratio of 2"), (["--ratio", "0.5", "--bytes", "5"], "one of"),
            (["--level", "nothing"], "pair, uniform, layer or head"), (["--bytes", "5"], "too few"),
            (["--curve", "pyramid:x"], "whole number"), (["--cache-type", "q4_K"], "q4_K"),
            (["--chat"], "chat template"), (["--chunk", "0"], "parts of 0"),
            (["--chunk", "0", "--save-heads", "/dev/null"], "parts of 0"), (["--overlap=-1"], "overlap of -1"),
            (["--curve", "pyramid:20"], "within a layer"), (["--heads", #filePath], "does not hold scores of heads"),
            (["--heads", "/nonexistent.json"], "/nonexistent.json cannot be read"), (["--capacity", "0"], "capacity"),
        ])
    func mistakesAreNamed(_ flags: [String], _ message: String) throws {
        let (result, _) = try compress("a.gguf", flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
        #expect(files == ["text.txt"])
    }

    @Test(
        "numbers beyond all bounds keep everything",
        arguments: [
            ["--capacity", "\(Int.max)"], ["--bytes", "\(Int.max)"], ["--ratio", "1", "--chunk", "\(Int.max)"],
            ["--ratio", "1", "--overlap", "\(Int.max)", "--chunk", "7"],
        ])
    func hugeNumbers(_ flags: [String]) throws {
        let (result, _) = try compress("a.gguf", flags)
        #expect(result.status == 0 && result.output.contains("(100.0 %)"), "\(result.errors)")
    }

    @Test("the words that ask for a repetition matter, and huge numbers in a curve do not")
    func requestsAndCurves() throws {
        func report(_ flags: [String]) throws -> String {
            let (result, path) = try compress("a.gguf", flags + ["--ratio", "0.3"])
            #expect(result.status == 0, "\(result.errors)")
            return try Data(contentsOf: URL(fileURLWithPath: path)).base64EncodedString()
        }
        #expect(try report(["--chunk", "20"]) != report(["--chunk", "20", "--next-request", " Once more: "]))
        #expect(try report([]) != report(["--first-request", " Once upon a time"]))
        let curve = folder.url.appendingPathComponent("curve.txt")
        try "1e308 1e308 5e307 1e308 1e308".write(to: curve, atomically: true, encoding: .utf8)
        let large = try report(["--level", "uniform", "--curve", curve.path])
        try "2 2 1 2 2".write(to: curve, atomically: true, encoding: .utf8)
        #expect(try report(["--level", "uniform", "--curve", curve.path]) == large)
    }

    @Test func aDiskThatIsFullIsAnErrorAndLeavesTheOldFileAlone() throws {
        let (_, path) = try compress("a.gguf", ["--ratio", "0.5"])
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        // No file may grow beyond 16 blocks of 512 bytes.
        let result = try Command.run(
            ["compress", "--threads", "1", "--model", Fixtures.stories.path, "--context", text.path, "--out", path],
            bytes: Data(), shell: "ulimit -f 16")
        #expect(result.status == 1 && result.errors.contains("failed after"), "\(result.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        #expect(files.sorted() == ["a.gguf", "text.txt"])
    }

    @Test func aProcessThatIsKilledWhileSavingLeavesTheOldFileWhole() throws {
        let (_, path) = try compress("a.gguf", ["--ratio", "0.5"])
        for step in 0..<12 {
            // At some moment between the start and the end of the process.
            _ = try Command.run(
                [
                    "compress", "--threads", "1", "--model", Fixtures.stories.path, "--context", path, "--ratio", "0.5",
                    "--out", path,
                ],
                bytes: Data(), killedAfter: 0.02 * Double(step))
            #expect(try ask(path, [" Ben"]).status == 0)
        }
    }

    @Test func whatCuttingSavesIsMeasuredInRounds() throws {
        let call = [
            "context-bench", "--threads", "1", "--model", Fixtures.stories.path, "--tokens", "400", "--rounds", "3",
            "--steps",
            "2",
        ]
        let result = try Command.run(call + ["--json"])
        #expect(result.status == 0, "\(result.errors)")
        let rows = try result.output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(rows.count == 3 && rows.allSatisfy { ($0["ours"] as? Double ?? 0) > 0 })
        let saved = try #require(rows[0]["ratio"] as? Double)
        #expect(saved > 3 && saved < 3.5 && rows[0]["unit"] as? String == "MB")
        for row in rows.dropFirst() {
            let (ratio, spread) = (try #require(row["ratio"] as? Double), try #require(row["spread"] as? [Double]))
            #expect(spread.count == 2 && spread[0] <= ratio && ratio <= spread[1])
        }
        #expect(try Command.run(call).output.split(separator: "\n").count == 5)
        #expect(try Command.run(call + ["--ratio", "2"]).errors.contains("ratio of 2"))
    }

    @Test func recallIsATable() throws {
        let questions = folder.url.appendingPathComponent("questions.jsonl")
        try #"{"question": " Ben had a red", "answer": " k"}"#.write(to: questions, atomically: true, encoding: .utf8)
        let result = try Command.run([
            "recall", "--threads", "1", "--model", Fixtures.stories.path, "--context", text.path, "--questions",
            questions.path, "--ratios", "1,0.3",
        ])
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 2 + 7 * 2 && lines.allSatisfy { $0.split(separator: "|").count == 6 })
    }
}
