import Foundation
import TestSupport
import Testing

/// Cutting by a calibration from the command line, with the demo's model.
@Suite struct ForeseenContextCommandTests {
    private static let model = Fixtures.diary.path
    private static let facts = Fixtures.root.appending(path: "docs/data/facts.txt").path
    private static let system = ["--system", "Write the diary of Max from week 1 to week 60.\n"]
    private static let question = "*** started ***\n#*# Week 2: In week 2"

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func compress(_ name: String, _ flags: [String]) throws -> (result: Command.Result, path: String) {
        let path = folder.path(name)
        let result = try Command.run(["compress", "--threads", "1", "--model", Self.model, "--out", path] + flags)
        return (result, path)
    }

    private func ask(_ path: String) throws -> String {
        let result = try Command.run(
            ["ask", "--threads", "1", "--model", Self.model, "--context", path, "-n", "6", Self.question])
        #expect(result.status == 0, "\(result.errors)")
        return result.output
    }

    @Test("a tenth of the entries still answers, also of a context that was saved before")
    func aTenthAnswers() throws {
        let text = ["--context", Self.facts, "--scores", "augur"] + Self.system
        let (first, path) = try compress("a.gguf", text + ["--ratio", "0.3"])
        #expect(first.status == 0, "\(first.errors)")
        #expect(try ask(path).contains("Kurt departs"))
        let (second, smaller) = try compress("b.gguf", ["--context", path, "--scores", "augur", "--ratio", "0.1"])
        #expect(second.status == 0, "\(second.errors)")
        #expect(try ask(smaller).contains("Kurt departs"))
        let (direct, other) = try compress("c.gguf", text + ["--ratio", "0.1"])
        #expect(direct.status == 0, "\(direct.errors)")
        let expected = try Data(contentsOf: URL(fileURLWithPath: smaller))
        #expect(try Data(contentsOf: URL(fileURLWithPath: other)) == expected)
        let (mixed, _) = try compress("d.gguf", ["--context", path, "--ratio", "0.1"])
        #expect(mixed.status != 0 && mixed.errors.contains("scores of another kind"), "\(mixed.errors)")
    }

    @Test("a question beyond the calibration's texts is answered with a note, once")
    func askSaysWhenItGuesses() throws {
        let short = folder.path("short.augur.gguf")
        let made = try Command.run([
            "calibrate", "--threads", "1", "--model", Self.model, "--text", Self.facts, Self.facts, "--length", "100",
            "--tokens", "1400", "--out", short,
        ])
        #expect(made.status == 0, "\(made.errors)")
        let (first, path) = try compress("a.gguf", ["--context", Self.facts, "--ratio", "0.5", "--scores", "augur"])
        #expect(first.status == 0, "\(first.errors)")
        func notes(_ flags: [String]) throws -> Int {
            let result = try Command.run(
                ["ask", "--threads", "1", "--model", Self.model, "--context", path, "-n", "4", "--policy"] + flags
                    + [Self.question, Self.question])
            #expect(result.status == 0, "\(result.errors)")
            return result.errors.components(separatedBy: "the calibration is of texts of up to 100").count - 1
        }
        #expect(try notes(["augur:capacity=64", "--calibration", short]) == 1)
        #expect(try notes(["augur:capacity=64"]) == 0)
        #expect(try notes(["full", "--calibration", short]) == 0)
    }

    @Test("recall compares it with the other methods")
    func recallHasItsRows() throws {
        let questions = try folder.write(
            #"{"question": "*** started ***\n#*# Week 2: In week 2", "answer": " Kurt departs"}"#, to: "questions.jsonl"
        )
        let result = try Command.run(
            [
                "recall", "--threads", "1", "--model", Self.model, "--context", Self.facts, "--questions",
                questions.path, "--ratios", "0.1", "--request", "*** started ***\n", "--json",
            ] + Self.system)
        #expect(result.status == 0, "\(result.errors)")
        let rows = try result.output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(rows.count == 11)
        let pair = try #require(rows.first { $0["method"] as? String == "augur pair" })
        #expect(pair["right"] as? Int == 1)
        #expect(try #require(pair["seconds"] as? Double) > 0)
    }

    @Test(
        "mistakes are named and leave no file",
        arguments: [
            (["--scores", "nothing"], "'nothing' is invalid"),
            (["--scores", "augur", "--heads", #filePath], "--scores says"),
        ])
    func mistakesAreNamed(_ flags: [String], _ message: String) throws {
        let (result, path) = try compress("a.gguf", ["--context", Self.facts] + flags)
        #expect(result.status != 0 && result.errors.contains(message), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("a model without a calibration is told how to make one")
    func aCalibrationIsNeeded() throws {
        let result = try Command.run([
            "compress", "--threads", "1", "--model", Fixtures.stories.path, "--context", Self.facts, "--scores",
            "augur",
            "--out", folder.path("a.gguf"),
        ])
        #expect(result.status == 1 && result.errors.contains("morphkv calibrate"), "\(result.errors)")
    }
}
