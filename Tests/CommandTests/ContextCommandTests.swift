import Foundation
import Testing

/// Compressing once and asking many times, from the command line and across processes.
@Suite(.enabled(if: Command.storiesExists, "the model stories260K is not beside the checkout"))
struct ContextCommandTests {
    private let folder: URL
    private let text: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        text = folder.appendingPathComponent("text.txt")
        try """
        Ben had a red kite. He loved to play with his kite in the big park near his house. One day, Ben and his mom went to
        the park. The wind was very strong. Ben ran and ran, and the kite went up, up, up into the blue sky.
        """.write(to: text, atomically: true, encoding: .utf8)
    }

    private var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }

    private func compress(_ name: String, _ flags: [String] = []) throws -> (Command.Result, String) {
        let path = folder.appendingPathComponent(name).path
        let result = try Command.run(
            ["compress", "--threads", "1", "--model", Command.stories, "--context", text.path, "--out", path] + flags)
        return (result, path)
    }

    private func ask(_ context: String, _ questions: [String], _ flags: [String] = []) throws -> Command.Result {
        try Command.run(
            ["ask", "--threads", "1", "--model", Command.stories, "--context", context, "-n", "8"] + questions + flags)
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
        let (first, path) = try compress("a.gguf", ["--ratio", "1", "--save-heads", folder.path + "/heads.json"])
        #expect(first.status == 0, "\(first.errors)")
        let again = try Command.run([
            "compress", "--threads", "1", "--model", Command.stories, "--context", path, "--ratio", "0.3", "--level",
            "uniform", "--out", folder.path + "/b.gguf",
        ])
        #expect(again.status == 0, "\(again.errors)")
        #expect(try ask(folder.path + "/b.gguf", [" Ben"]).status == 0)
        let (byHeads, heads) = try compress(
            "c.gguf", ["--heads", folder.path + "/heads.json", "--ratio", "0.5", "--recent", "16"])
        #expect(byHeads.status == 0, "\(byHeads.errors)")
        #expect(try ask(heads, [" Ben"]).status == 0)
    }

    @Test(
        "mistakes are named and leave no file",
        arguments: [
            (["--ratio", "2"], "ratio of 2"), (["--ratio", "0.5", "--bytes", "5"], "one of"),
            (["--level", "nothing"], "pair, uniform, layer or head"), (["--bytes", "5"], "too few"),
            (["--curve", "pyramid:x"], "whole number"), (["--cache-type", "q4_K"], "q4_K"),
            (["--chat"], "chat template"),
        ])
    func mistakesAreNamed(_ flags: [String], _ message: String) throws {
        let (result, _) = try compress("a.gguf", flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
        #expect(files == ["text.txt"])
    }

    @Test func aDiskThatIsFullIsAnErrorAndLeavesTheOldFileAlone() throws {
        let (_, path) = try compress("a.gguf", ["--ratio", "0.5"])
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        // No file may grow beyond 16 blocks of 512 bytes.
        let result = try Command.run(
            ["compress", "--threads", "1", "--model", Command.stories, "--context", text.path, "--out", path],
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
                    "compress", "--threads", "1", "--model", Command.stories, "--context", path, "--ratio", "0.5",
                    "--out", path,
                ],
                bytes: Data(), killedAfter: 0.02 * Double(step))
            #expect(try ask(path, [" Ben"]).status == 0)
        }
    }

    @Test func whatCuttingSavesIsMeasuredInRounds() throws {
        let call = [
            "context-bench", "--threads", "1", "--model", Command.stories, "--tokens", "400", "--rounds", "3",
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
        let questions = folder.appendingPathComponent("questions.jsonl")
        try #"{"question": " Ben had a red", "answer": " k"}"#.write(to: questions, atomically: true, encoding: .utf8)
        let result = try Command.run([
            "recall", "--threads", "1", "--model", Command.stories, "--context", text.path, "--questions",
            questions.path, "--ratios", "1,0.3",
        ])
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 2 + 7 * 2 && lines.allSatisfy { $0.split(separator: "|").count == 5 })
    }
}
