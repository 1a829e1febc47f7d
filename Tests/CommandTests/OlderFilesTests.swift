import Foundation
import TestSupport
import Testing

/// Files that the program wrote before the library was rearranged (commit 100c3c9) are read and gone on from.
@Suite struct OlderFilesTests {
    private static let model = Fixtures.diary.path

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func copy(_ names: String...) throws {
        for name in names {
            try FileManager.default.copyItem(
                at: Fixtures.older.appending(path: name), to: URL(fileURLWithPath: folder.path(name)))
        }
    }

    @Test func aConversationGoesOn() throws {
        try copy("chat", "chat.gguf")
        let result = try Command.run(
            [
                "chat", "--threads", "1", "--model", Self.model, "--resume", folder.path("chat"), "-n", "8",
                "--temperature", "0",
            ], input: "/stats\nIn week 3 Carla paints.\n")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("40 tokens seen, 24 of 24 slots per head used, 16 tokens evicted"))
        #expect(result.output.contains(". I feel lazy."))
    }

    @Test func aContextIsAsked() throws {
        let context = Fixtures.older.appending(path: "context.gguf").path
        let result = try Command.run(
            ["ask", "--threads", "1", "--model", Self.model, "--context", context, "-n", "3", "In week 2"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.hasPrefix(" the draws week"))
    }

    @Test func aRunIsContinued() throws {
        try copy("run.jsonl")
        let before = try String(contentsOfFile: folder.path("run.jsonl"), encoding: .utf8)
        let result = try Command.run([
            "eval", "squad", "--data", Fixtures.older.appending(path: "squad.json").path, "--model", Self.model,
            "--policy", "morphkv:capacity=24,window=8", "--raw", "--max-tokens", "8", "--threads", "1", "--out",
            folder.path("run.jsonl"),
        ])
        #expect(result.status == 0, "\(result.errors)")
        let lines = try String(contentsOfFile: folder.path("run.jsonl"), encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2 && lines[0] + "\n" == before)
        #expect(lines[1].contains("\"sample\":\"40d204a4971c26d9\""))
    }
}
