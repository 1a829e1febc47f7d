import Foundation
import TestSupport
import Testing

/// What the command does beyond the trained context.
@Suite struct EndlessCommandTests {
    private static func facts(in folder: TemporaryFolder) throws -> [String] {
        let facts =
            "Write the diary of Max from week 1 to week 60.\nIn week 16 Bert speaks.\nIn week 20 Nina competes.\n"
        let questions = [(16, "Bert speaks"), (20, "Nina competes")].map { week, fact in
            #"{"question": "*** started ***\n#*# Week \#(week): In week \#(week)", "answer": " \#(fact)"}"#
        }
        let entry = "#*# Week 61: In week 61 the weather is warm and cool. I buy curry and noodles at the hill.\n"
        return [
            "--facts", try folder.write(Data((facts + "*** started ***\n").utf8), to: "facts.txt").path,
            "--questions", try folder.write(Data(questions.joined(separator: "\n").utf8), to: "questions.jsonl").path,
            "--file", try folder.write(Data(entry.utf8), to: "entries.txt").path,
        ]
    }

    private let diary = ["endless", "--threads", "1", "--model", Fixtures.diary.path]

    @Test("facts that are pinned are known however much is read after them; others are not")
    func pinnedFacts() throws {
        let folder = try TemporaryFolder()
        func right(_ more: [String]) throws -> [Int?] {
            let flags = ["--policy", "streaming", "--capacity", "96", "--at", "0", "300", "--json"]
            let result = try Command.run(diary + Self.facts(in: folder) + flags + more)
            #expect(result.status == 0, "\(result.errors)")
            return result.output.split(separator: "\n").map { line in
                let row = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                #expect((row?["pinned"] as? Int ?? 0 > 20) == more.contains("--pin-facts"))
                return row?["right"] as? Int
            }
        }
        #expect(try right(["--pin-facts"]) == [2, 2])
        #expect(try right([]) == [2, 0])
    }

    @Test("pins over the capacity, and flags that do not go together, are refused by name")
    func badInput() throws {
        let folder = try TemporaryFolder()
        let facts = try Self.facts(in: folder)
        let small = ["--policy", "tova", "--capacity", "16", "--at", "5", "--pin-facts"]
        for (arguments, message) in [
            (facts + small, "15 fit"), (Array(facts[2...]) + small, "--facts and --questions"),
            (Array(facts[..<4]) + small, "--file"), (["--pin-facts", "--at", "300", "--capacity", "64"], "--facts"),
            (facts + ["--capacity", "64", "--at", "5", "--instead", "llama.cpp"], "without --facts"),
            (facts + ["--capacity", "64", "--position-limit", "40", "--at", "5"], "40"),
            (facts + ["--capacity", "64", "--position-limit", "40", "--cache-type", "q4_0", "--at", "5"], "40"),
        ] {
            let result = try Command.run(diary + arguments)
            #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
        }
    }

    @Test("a chat goes on beyond the trained context, saved and resumed on the way")
    func chat() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("chat.json")
        let chat = ["chat", "--threads", "1", "--model", Fixtures.stories.path, "-n", "220", "--temperature", "0"]
        let small = ["--capacity", "64", "--window", "8", "--system", "You tell stories."]
        func seen(_ output: String) -> [Int] {
            output.split(separator: "\n").compactMap {
                $0.firstMatch(of: /(\d+) tokens seen/).flatMap { Int($0.output.1) }
            }
        }
        let turns = "Hello\nAnd then?\nAnd then?\n"
        let whole = try Command.run(chat + small, input: turns + "/stats\n/save \(file)\nAnd then?\n/stats\n")
        #expect(whole.status == 0, "\(whole.errors)")
        let counts = seen(whole.output)
        #expect(counts.count == 2 && counts[0] > 600 && counts[1] > counts[0], "\(whole.output)")
        let rest = try Command.run(chat + ["--resume", file], input: "/stats\nAnd then?\n/stats\n")
        #expect(rest.status == 0 && seen(rest.output) == counts, "\(rest.output) \(rest.errors)")
    }
}
