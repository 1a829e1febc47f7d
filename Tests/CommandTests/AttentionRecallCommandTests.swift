import Foundation
import TestSupport
import Testing

/// `morphkv recall --attention` and its page, as users start them.
@Suite struct AttentionRecallCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func recall(_ flags: [String]) throws -> Command.Result {
        let text = try folder.write(
            "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day she "
                + "saw a big dog. The dog had a red ball.", to: "text.txt")
        return try Command.run(
            ["recall", "--threads", "1", "--model", Fixtures.stories.path, "--context", text.path] + flags)
    }

    @Test("a table, the same as JSON, and from that the page")
    func tableAndPage() throws {
        let flags = ["--attention", "--policy", "h2o", "streaming:sinks=1", "--ratios", "0.5,0.25"]
        let table = try recall(flags)
        #expect(table.status == 0, "\(table.errors)")
        let rows = table.output.split(separator: "\n").prefix { $0.hasPrefix("|") }
        #expect(rows.count == 7 && rows[3].hasPrefix("| h2o:capacity="))
        let lines = try recall(flags + ["--json"])
        #expect(lines.status == 0 && lines.output.split(separator: "\n").count == 4, "\(lines.errors)")
        let file = try folder.write(lines.output, to: "rows.jsonl")
        let report = try Command.run(["report", "--attention", file.path, "--html", folder.path("page.html")])
        func rest(_ result: Command.Result) -> [Substring] { result.output.split(separator: "\n").dropLast() }
        #expect(report.status == 0 && rest(report) == rest(table), "\(report.errors)")
        #expect(table.output.hasSuffix("--ratios 0.5,0.25`.\n") && report.output.contains("Made by `morphkv report "))
        let page = try String(contentsOf: folder.url.appending(path: "page.html"), encoding: .utf8)
        #expect(page.contains("Attention that is held against entries"))
    }

    @Test("parts are fed by themselves, and all policies with a capacity are the default")
    func parts() throws {
        let result = try recall(["--attention", "--part", "20", "--prompt-share", "0.8", "--ratios", "0.5", "--json"])
        #expect(result.status == 0, "\(result.errors)")
        let rows = try result.output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        let names = rows.compactMap { ($0["policy"] as? String)?.split(separator: ":").first.map(String.init) }
        #expect(Set(["streaming", "h2o", "tova", "morphkv", "random", "snapkv"]).isSubset(of: names))
        #expect(!names.contains("full") && !names.contains("augur"))
        #expect(rows.allSatisfy { ($0["texts"] as? Int ?? 0) > 1 })
    }

    @Test(
        "flags that do not belong together are refused",
        arguments: [
            (["--attention", "--questions", "q"], "--questions"), (["--policy", "h2o"], "--attention"),
            (["--attention", "--part", "1"], "--part 1"), (["--attention", "--prompt-share", "1"], "--prompt-share 1"),
            (["--attention", "--ratios", "2"], "--ratios 2"), (["--attention", "--policy", "nobody"], "no policy"),
        ])
    func mistakes(_ flags: [String], _ message: String) throws {
        let result = try recall(flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
    }
}
