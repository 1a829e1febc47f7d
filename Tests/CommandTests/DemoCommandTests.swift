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

    @Test("types of keys and values are compared at equal bytes: fewer bits are more entries, and lines say the types")
    func cacheTypes() throws {
        func line(_ types: [String], _ policy: String) throws -> [String: Any] {
            let result = try Command.run(
                ["eval", "demo", "--policy", policy, "--bytes", "1/4", "--samples", "1", "--json"] + types)
            #expect(result.status == 0, "\(result.errors)")
            return try #require(
                try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        }
        let usual = try line([], "streaming")
        let mixed = try line(["--cache-type", "q8_0", "--cache-type-v", "q4_0"], "streaming")
        #expect(usual["cacheType"] as? String == "f16" && mixed["cacheType"] as? String == "q8_0, q4_0")
        let budget = try #require(usual["budget"] as? Int)
        #expect(mixed["budget"] as? Int == budget)
        let entries = try #require(usual["capacity"] as? Int)
        let more = try #require(mixed["capacity"] as? Int)
        // 34 and 18 bytes for 32 numbers in place of 64 and 64, positions aside.
        #expect(Double(more) > 2.3 * Double(entries) && Double(more) < 2.5 * Double(entries))
        for row in [usual, mixed] {
            let bytes = try #require(row["bytes"] as? Int)
            #expect(bytes <= budget && Double(bytes) > 0.95 * Double(budget))
        }
        let full = try line([], "full")
        let small = try line(["--cache-type", "q8_0"], "full")
        #expect(small["cacheType"] as? String == "q8_0")
        let (most, least) = (try #require(full["bytes"] as? Int), try #require(small["bytes"] as? Int))
        #expect(Double(least) < 0.6 * Double(most), "\(least) of \(most)")
    }

    @Test(
        "mistakes are named before anything is written",
        arguments: [
            (["--policy", "nothing"], "nothing"), (["--capacity", "half"], "half"), (["--samples", "0"], "--samples"),
            (["--policy", "tova:heads=all"], "heads"), (["--model", "/nonexistent.gguf"], "/nonexistent.gguf"),
            (["--cache-type", "q3_7"], "q3_7"),
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
        let result = try Command.run(["eval", "longbench", "--model", "x", "--out", "y"])
        #expect(result.status != 0 && result.errors.contains("--data is missing"), "\(result.errors)")
    }
}
