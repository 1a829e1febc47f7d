import Foundation
import TestSupport
import Testing

/// The flags and commands that pin.
@Suite struct PinCommandTests {
    private let model = ["--threads", "1", "--model", Fixtures.stories.path]
    private var chat: [String] { ["chat"] + model + ["--capacity", "64", "--window", "8", "-n", "20"] }

    /// Tokens that `/stats` says are pinned, each time.
    private func pinned(_ output: String) -> [Int] {
        output.split(separator: "\n").filter { $0.contains("tokens seen") }.map { line in
            line.firstMatch(of: /evicted, (\d+) pinned/).flatMap { Int($0.output.1) } ?? 0
        }
    }

    @Test("generate pins the prompt's beginning, and says how much")
    func generate() throws {
        let arguments = ["generate"] + model + ["Once upon a time there was a dog", "-n", "90", "--ignore-eos"]
        let flags = ["--policy", "streaming:sinks=0", "--capacity", "32"]
        func report(_ more: [String]) throws -> [String: Any] {
            let result = try Command.run(arguments + flags + ["--json"] + more)
            let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            return try #require(object as? [String: Any], "\(result.errors)")
        }
        let all = try #require(try report(["--pin-prompt", "all"])["pinned"] as? Int)
        #expect(all > 6)
        #expect(try report(["--pin-prompt", "5"])["pinned"] as? Int == 5)
        #expect(try report([])["pinned"] as? Int == 0)
        let explained = try Command.run(arguments + flags + ["--pin-prompt", "all", "--stats", "--explain"])
        #expect(explained.status == 0 && explained.errors.contains("\(all) tokens pinned"))
        for (count, message) in [
            ("99", "0..<99"), ("x", "--pin-prompt"), ("-1", "--pin-prompt"),
        ] {
            let result = try Command.run(arguments + flags + ["--pin-prompt=\(count)"])
            #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
        }
        let small = try Command.run(arguments + ["--pin-prompt", "all", "--policy", "tova:capacity=6"])
        #expect(small.status != 0 && small.errors.contains("\(all)") && small.errors.contains("5 fit"))
    }

    @Test("a chat pins its system message unless told otherwise, and messages that ask for it")
    func conversation() throws {
        let input = "Hello\n/stats\n/pin A red kite.\n/stats\nAnd then?\n/stats\n/pin\n"
        let system = ["--system", "You tell stories."]
        let usual = try Command.run(chat + system, input: input)
        let without = try Command.run(chat + system + ["--no-pin-system"], input: input)
        let asked = try Command.run(chat + system + ["--pin-system"], input: input)
        let (a, b) = (pinned(usual.output), pinned(without.output))
        #expect(a.count == 3 && a[0] > 5 && a[1] > a[0] + 5 && a[2] == a[1], "\(usual.output) \(usual.errors)")
        #expect(b.count == 3 && b[0] == 0 && b[1] == a[1] - a[0] && b[2] == b[1], "\(without.output)")
        #expect(asked.output == usual.output && usual.errors.contains("/pin needs"))
        // More than fits is said, and does not end the conversation.
        let long = "/pin " + String(repeating: "Once upon a time there was a dog. ", count: 9)
        let refused = try Command.run(chat + system, input: "Hello\n\(long)\nAnd then?\n/stats\n")
        #expect(refused.status == 0 && refused.errors.contains("55 fit"), "\(refused.errors)")
        #expect(pinned(refused.output) == [a[0]], "\(refused.output)")
    }

    @Test("a system message that does not fit is pinned as far as it does, or refused if that was asked for")
    func longSystemMessages() throws {
        let system = ["--system", String(repeating: "Once upon a time there was a dog. ", count: 12)]
        let input = "Hello\n/stats\nAgain\n/stats\n"
        let usual = try Command.run(chat + system, input: input)
        #expect(usual.status == 0 && pinned(usual.output) == [55, 55], "\(usual.output)")
        #expect(usual.errors.components(separatedBy: "of which 55 fit").count == 2, "\(usual.errors)")
        let asked = try Command.run(chat + system + ["--pin-system"], input: input)
        #expect(asked.status == 0 && asked.errors.contains("55 fit") && pinned(asked.output) == [0, 0])
        let snapkv = try Command.run(
            ["chat"] + model + ["--policy", "snapkv:promptCapacity=64", "-n", "5"] + system, input: input)
        #expect(snapkv.status == 0 && pinned(snapkv.output) == [0, 0] && snapkv.errors.contains("of which 0 fit"))
        let full = try Command.run(["chat"] + model + ["-n", "5"] + system, input: input)
        #expect(full.status == 0 && full.errors.isEmpty && pinned(full.output).allSatisfy { $0 > 100 })
    }

    @Test("a saved conversation keeps its pins, also when another policy reads it anew")
    func resumed() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("chat.json")
        let system = ["--system", "You tell stories."]
        let first = try Command.run(chat + system, input: "/pin A red kite.\n/save \(file)\nAnd then?\n/stats\n")
        #expect(first.status == 0 && first.errors.isEmpty, "\(first.errors)")
        let resume = ["chat"] + model + ["-n", "20", "--resume", file]
        let rest = try Command.run(resume, input: "And then?\n/stats\n/policy streaming:capacity=64\nMore\n/stats\n")
        #expect(rest.status == 0 && rest.errors.isEmpty, "\(rest.errors)")
        let counts = pinned(rest.output)
        #expect(counts.count == 2 && counts[0] > 10 && counts[1] == counts[0], "\(rest.output)")
        #expect(pinned(first.output) == [counts[0]])
    }

    @Test("serve pins system prompts unless told otherwise")
    func serve() async throws {
        let body =
            #"{"messages":[{"role":"system","content":"Be short."},{"role":"user","content":"Hi"}],"max_tokens":4}"#
        for (flags, isPinned) in [([], true), (["--pin-system"], true), (["--no-pin-system"], false)] {
            let server = try await ServerProcess(["--capacity", "64", "--policy", "streaming"] + flags)
            let answer = try await server.complete(body: body, path: "/v1/chat/completions")
            #expect(answer.status == 200, "\(answer.body)")
            let metrics = try await server.metrics()
            #expect((metrics["morphkv_pinned_tokens_total"] ?? -1 > 0) == isPinned, "\(answer.body)")
            if let resident = metrics["process_resident_memory_bytes"] {
                #expect(resident <= metrics["morphkv_announced_bytes"] ?? 0)
            }
            #expect(await server.end() == 0)
        }
    }
}
