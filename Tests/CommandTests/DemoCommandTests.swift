import Foundation
import Testing

/// The demo's measurement as scripts use it.
@Suite struct DemoCommandTests {
    @Test("one JSON object a line, each with every field")
    func jsonLines() throws {
        let result = try Command.run([
            "eval", "demo", "--policy", "full", "streaming", "--capacity", "48", "--samples", "1", "--json",
        ])
        #expect(result.status == 0, "\(result.errors)")
        let lines = try result.output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(lines.map { $0["policy"] as? String } == ["full", "streaming"])
        #expect(lines[0]["capacity"] is NSNull && lines[1]["capacity"] as? Int == 48)
        for line in lines {
            for name in ["completionRate", "once", "range", "periodic", "plan"] {
                #expect((0...100).contains(try #require(line[name] as? Double)))
            }
            #expect(line["samples"] as? Int == 1)
            #expect(try #require(line["peakBytes"] as? Int) > #require(line["cacheBytes"] as? Int))
            #expect(try #require(line["tokensPerSecond"] as? Double) > 0)
        }
    }

    @Test(
        "mistakes are named before anything is written",
        arguments: [
            (["--policy", "nothing"], "nothing"), (["--capacity", "half"], "half"), (["--samples", "0"], "--samples"),
            (["--policy", "tova:heads=all"], "heads"), (["--model", "/nonexistent.gguf"], "/nonexistent.gguf"),
        ])
    func mistakes(_ arguments: [String], _ message: String) throws {
        let result = try Command.run(["eval", "demo"] + arguments)
        #expect(result.status != 0 && result.status < 128)
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test("a page that cannot be written is an error before the work begins")
    func unwritablePage() throws {
        let result = try Command.run(["demo", "--quick", "--report", "/nonexistent/report.html"])
        #expect(result.status != 0 && result.errors.contains("/nonexistent/report.html"), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test("published benchmarks need no word in front of their name")
    func benchmarksAreTheDefault() throws {
        let result = try Command.run(["eval", "longbench"])
        #expect(result.status != 0 && result.errors.contains("--data"), "\(result.errors)")
    }
}
