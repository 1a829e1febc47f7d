import Foundation
import TestSupport
import Testing

/// Contexts over HTTP with the real command: restarts, memory, and the same answers as `morphkv ask`.
@Suite(.serialized) struct ServeContextTests {
    private static let text = (0..<9).map {
        "Ben had a red kite. He loved to play with his kite in the big park near his house. It was day \($0)."
    }.joined(separator: " ")

    private static func flags(_ folder: TemporaryFolder) -> [String] {
        [
            "--capacity", "64", "--parallel", "2", "--context-dir", folder.url.path, "--context-bytes", "2000000",
            "--context-tokens", "500", "--max-connections", "24", "--max-body", "65536",
        ]
    }

    private static func body(_ members: [String: Any]) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: members), as: UTF8.self)
    }

    private static func ask(_ server: ServerProcess) async throws -> String? {
        let question = try body([
            "prompt": " Ben was", "max_tokens": 20, "temperature": 0, "morphkv": ["context": "kite"],
        ])
        let answer = try await server.send("POST", "/v1/completions", question)
        return (answer.json["choices"] as? [[String: Any]])?.first?["text"] as? String
    }

    @Test func aContextIsThatOfTheCommandAndThereAgainAfterARestart() async throws {
        let folder = try TemporaryFolder()
        let made = try TemporaryFolder()
        let server = try await ServerProcess(Self.flags(made))
        let request = try Self.body(["name": "kite", "text": Self.text, "ratio": 0.5, "level": "uniform"])
        #expect(try await server.send("POST", "/v1/contexts", request).status == 202)
        try await wait(for: "the context") {
            try await server.send("GET", "/v1/contexts/kite").json["state"] as? String == "ready"
        }
        let first = try await Self.ask(server)
        #expect(await server.end() == 0)

        let model = ["--threads", "1", "--model", Fixtures.stories.path]
        let text = try folder.write(Self.text, to: "text.txt").path
        let compressed = try Command.run(
            ["compress", "--context", text, "--ratio", "0.5", "--level", "uniform", "--out", folder.path("own.gguf")]
                + model)
        #expect(compressed.status == 0, "\(compressed.errors)")
        let files = [made.url.appending(path: "kite.gguf"), folder.url.appending(path: "own.gguf")]
        #expect(try Data(contentsOf: files[0]) == Data(contentsOf: files[1]))
        let asked = try Command.run(["ask", "--context", files[0].path, "-n", "20", " Ben was"] + model)
        #expect(first == String(asked.output.dropLast()) && asked.status == 0)

        try made.write("nothing", to: "broken.gguf")
        let again = try await ServerProcess(Self.flags(made))
        #expect(again.errors.contains("broken.gguf"), "\(again.errors)")
        let known = try await again.send("GET", "/v1/contexts/kite").json
        #expect(known["state"] as? String == "ready" && known["resident"] as? Bool == false, "\(known)")
        #expect(try await Self.ask(again) == first)
        #expect(await again.end() == 0)
    }

    @Test func whatIsAnnouncedCoversContextsAndCompressingThem() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerProcess(Self.flags(folder))
        #expect(server.announcement.contains("on demand    2.00 MB") && server.announcement.contains("compressing"))
        let announced = try #require(
            server.announcement.firstMatch(of: /stays below .*\((\d+) bytes\)/).flatMap { Double($0.output.1) })
        var most = 0.0
        for number in 0..<6 {
            let request = try Self.body(["name": "n\(number)", "text": Self.text, "ratio": 0.9])
            #expect(try await server.send("POST", "/v1/contexts", request).status == 202)
        }
        try await wait(for: "all of them") {
            let metrics = try await server.metrics()
            most = max(most, metrics["process_resident_memory_bytes"] ?? 0)
            #expect(metrics["morphkv_contexts_resident_bytes"] ?? .infinity <= 2_000_000)
            return metrics["morphkv_contexts"] == 6
        }
        #expect(most <= announced)
        #expect(await server.end() == 0)
    }

    @Test(
        "flags that make no sense are refused",
        arguments: [
            ["--context-dir", "/nowhere/at/all"], ["--context-bytes", "5"], ["--context-tokens", "5"],
            ["--context-dir", "/tmp", "--context-bytes", "0"], ["--context-dir", "/tmp", "--context-tokens", "0"],
        ])
    func senseless(_ flags: [String]) throws {
        let result = try Command.run(["serve", "--model", Fixtures.stories.path] + flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains("--context-"), "\(result.errors)")
    }
}
