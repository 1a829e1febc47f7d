import Foundation
import TestSupport
import Testing

/// `morphkv serve` as a process of its own.
@Suite(.serialized)
struct ServeCommandTests {
    @Test(
        .enabled(
            if: PythonClient.official.path != nil, "needs Python with the package openai: run scripts/openai-python"))
    func theOfficialClientsWorkUnchanged() async throws {
        let folder = try TemporaryFolder()
        let keys = try folder.write("a-secret-key\n", to: "keys")
        let template = try #require(ChatTemplates.files.first { $0.lastPathComponent.contains("Qwen2.5") })
        let server = try await ServerProcess([
            "--capacity", "256", "--api-key-file", keys.path, "--chat-template", template.path,
        ])
        let address = ["http://127.0.0.1:\(server.port)", "a-secret-key"]
        let result = try await PythonClient.official.run(script: "openai_client.py", address)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.split(separator: "\n").count >= 31)
        let anthropic = try await PythonClient.official.run(script: "anthropic_client.py", address)
        #expect(anthropic.status == 0 && anthropic.output.contains("ok streamed"), "\(anthropic.output)")
        #expect(await server.end() == 0)
    }

    @Test func theMemoryIsAnnouncedBeforeAnybodyConnectsAndNotExceeded() async throws {
        let server = try await ServerProcess([
            "--capacity", "256", "--parallel", "3", "--max-connections", "24", "--max-body", "65536",
        ])
        let lines = server.announcement
        #expect(lines.contains("morphkv:capacity=256, 3 sequences at a time") && lines.contains("caches"))
        let announced = try #require(
            lines.firstMatch(of: /stays below .*\((\d+) bytes\)/).flatMap { Int($0.output.1) }, "\(lines)")
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<16 { group.addTask { try await server.complete(maxTokens: 40).status } }
            for try await status in group { #expect(status == 200) }
        }
        let metrics = try await server.metrics()
        #expect(metrics["morphkv_announced_bytes"] == Double(announced))
        if let resident = metrics["process_resident_memory_bytes"] {
            // Nobody asked for a grammar.
            let others = Double(announced) - (metrics["morphkv_grammar_bytes_limit"] ?? 0)
            #expect(resident <= others && resident > 0.8 * others)
        }
        #expect(await server.end() == 0)
    }

    @Test("grammars, schemas and tools that are small and mean much stay in the announced memory")
    func hostileForms() async throws {
        let template = try #require(ChatTemplates.files.first { $0.lastPathComponent.contains("Qwen2.5") })
        let server = try await ServerProcess([
            "--capacity", "64", "--parallel", "3", "--queue", "40", "--max-connections", "24", "--max-body", "262144",
            "--chat-template", template.path,
        ])
        let alternatives = (0..<4000).map { "a\($0) ::= \"x\"? [a-z]* \"\($0)\"" }.joined(separator: "\\n")
        let quoted = alternatives.replacing("\"", with: "\\\"")
        let names = (0..<200).map { #""p\#($0)":{"type":"string","maxLength":200}"# }.joined(separator: ",")
        let few = names.split(separator: ",\"").prefix(10).joined(separator: ",\"")
        let tools = (0..<60).map {
            #"{"type":"function","function":{"name":"f\#($0)","parameters":{"type":"object","properties":{\#(few)}}}}"#
        }
        let bodies = [
            #"{"prompt":"x","max_tokens":30,"grammar":"root ::= [a-z]{1,49999}"}"#,
            #"{"prompt":"x","max_tokens":30,"json_schema":{"type":"string","minLength":1,"maxLength":49000}}"#,
            #"{"prompt":"x","max_tokens":30,"json_schema":{"type":"object","properties":{\#(names)}}}"#,
            #"{"prompt":"x","max_tokens":30,"grammar":"root ::= a1 | a2\n\#(quoted)"}"#,
            #"{"messages":[{"role":"user","content":"x"}],"max_tokens":30,"tool_choice":"required","tools":[\#(tools.joined(separator: ","))]}"#,
        ]
        var (statuses, resident): ([Int], Double) = ([], 0)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<24 {
                let body = bodies[number % bodies.count]
                let path = body.contains("messages") ? "/v1/chat/completions" : "/v1/completions"
                group.addTask { try await server.complete(body: body, path: path).status }
            }
            for try await status in group {
                statuses.append(status)
                resident = max(resident, try await server.metrics()["process_resident_memory_bytes"] ?? 0)
            }
        }
        #expect(statuses.allSatisfy { [200, 400, 429].contains($0) } && statuses.contains(200), "\(statuses)")
        let announced = try await server.metrics()["morphkv_announced_bytes"] ?? 0
        #expect(resident <= announced, "\(resident) of \(announced)")
        #expect(try await server.complete(maxTokens: 5).status == 200)
        #expect(await server.end() == 0)
    }

    @Test func underLoadTheSignalToEndLetsShortAnswersFinishAndCutsLongOnesOff() async throws {
        let server = try await ServerProcess(["--capacity", "64", "--parallel", "2", "--shutdown-time", "0.5"])
        async let short = server.complete(maxTokens: 5)
        async let long = withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<10 { group.addTask { try await server.complete(maxTokens: 4000).status } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let first = try await short
        #expect(first.status == 200)
        #expect(await server.end() == 0)
        #expect(try await long.allSatisfy { [0, 200, 503].contains($0) })
    }

    @Test func aContextFromAFileAnswersAsTheCommandAskDoes() async throws {
        let folder = try TemporaryFolder()
        let saved = folder.path("text.gguf")
        let text = try folder.write(
            "Ben had a red kite. He loved to play with his kite in the big park near his house.", to: "text.txt"
        ).path
        let model = ["--threads", "1", "--model", Fixtures.stories.path]
        let compressed = try Command.run(
            ["compress", "--context", text, "--ratio", "0.5", "--out", saved] + model)
        #expect(compressed.status == 0, "\(compressed.errors)")
        let asked = try Command.run(["ask", "--context", saved, "-n", "20", " Ben was"] + model)
        let server = try await ServerProcess(["--capacity", "64", "--context", "kite=\(saved)"])
        #expect(server.announcement.contains("contexts"))
        let body = #"{"prompt":" Ben was","max_tokens":20,"temperature":0,"morphkv":{"context":"kite"}}"#
        let answer = try await server.complete(body: body)
        let json = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        let choice = (json?["choices"] as? [[String: Any]])?.first
        #expect(answer.status == 200 && choice?["text"] as? String == String(asked.output.dropLast()))
        #expect(await server.end() == 0)
        for flags in [["kite"], ["a b=\(saved)"], ["kite=\(text)"], ["k=\(saved)", "--context", "k=\(saved)"]] {
            let result = try Command.run(["serve", "--model", Fixtures.stories.path, "--context"] + flags)
            #expect(result.status != 0 && result.status < 128 && !result.errors.isEmpty, "\(flags)")
        }
    }

    @Test func addressesOfOtherMachinesNeedAKeyOrTheWordInsecure() throws {
        let result = try Command.run(["serve", "--model", Fixtures.stories.path, "--host", "0.0.0.0"])
        #expect(result.status != 0 && result.errors.contains("--api-key-file"), "\(result.errors)")
        let folder = try TemporaryFolder()
        let file = try folder.write("\n \n", to: "keys")
        let empty = try Command.run(["serve", "--model", Fixtures.stories.path, "--api-key-file", file.path])
        #expect(empty.status != 0 && empty.errors.contains("no key"), "\(empty.errors)")
    }

    @Test(
        "numbers that make no sense are refused",
        arguments: [
            ["--port", "70000"], ["--port", "-1"], ["--request-time", "inf"], ["--request-time", "0"],
            ["--shutdown-time", "nan"], ["--max-body", "0"], ["--max-connections", "0"], ["--parallel", "0"],
            ["--threads", "0"], ["--prompt-part", "0"], ["--queue", "-1"],
        ])
    func senselessNumbers(_ flags: [String]) throws {
        let result = try Command.run(["serve", "--model", Fixtures.stories.path] + flags)
        #expect(result.status != 0 && result.status < 128 && !result.errors.isEmpty, "\(flags): \(result.errors)")
    }

    @Test func aPolicyThatTheModelCannotHaveEndsTheCommand() throws {
        let result = try Command.run(["serve", "--model", Fixtures.stories.path, "--capacity", "3"])
        #expect(result.status != 0 && result.errors.contains("capacity of 3"), "\(result.errors)")
    }
}

/// `morphkv chat` with its input from a pipe.
@Suite struct ChatCommandTests {
    private let arguments = [
        "chat", "--threads", "1", "--model", Fixtures.stories.path, "--capacity", "128", "-n", "20",
    ]

    @Test func aConversationGoesOnTurnByTurn() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "chat.json")
        let result = try Command.run(
            arguments + ["--system", "You tell stories."],
            input: "Hello\nAnd then?\n/stats\n/save \(file.path)\n/quit\nnever")
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(result.output.contains("of 128 slots per head used"))
        let saved = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: String]]
        #expect(saved?.map { $0["role"] } == ["system", "user", "assistant", "user", "assistant"])
        #expect(saved?[3]["content"] == "And then?")
    }

    @Test func aSavedConversationGoesOnInAnotherProcess() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("chat.json")
        let whole = try Command.run(arguments, input: "Hello\n/save \(file)\nAnd then?\n/stats\n")
        let plain = Array(arguments.prefix(5)) + ["-n", "20", "--resume", file]
        let rest = try Command.run(plain, input: "And then?\n/stats\n")
        #expect(rest.status == 0 && rest.errors.isEmpty, "\(rest.errors)")
        // The same answer and as many tokens seen: nothing was read anew.
        #expect(rest.output.count > 100 && whole.output.hasSuffix("saved to \(file)\n" + rest.output))
        let mistaken = try Command.run(plain + ["--capacity", "64"], input: "")
        #expect(mistaken.status != 0 && mistaken.errors.contains("--resume"), "\(mistaken.errors)")
    }

    @Test func thePolicyChangesBetweenTurnsAndMistakesDoNotEndTheConversation() throws {
        let result = try Command.run(
            arguments,
            input: "Hello\n/policy h2o:capacity=64\n/policy nothing\n/what\n/save\nAgain\n/stats\n/reset\n/history\n")
        #expect(result.status == 0)
        #expect(result.output.contains("h2o:capacity=64\n") && result.output.contains("of 64 slots"))
        #expect(!result.output.contains("user: "))
        #expect(result.errors.contains("there is no policy 'nothing'") && result.errors.contains("/what"))
    }
}
