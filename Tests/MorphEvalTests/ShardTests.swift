import Foundation
import MorphEval
import TestSupport
import Testing

/// A judge that finds something in every second question.
private struct EveryOther: Judge {
    let identity = "every other"
    let concurrency = 1

    func answer(_ question: JudgeQuestion) async throws -> String {
        question.prompt.utf8.count.isMultiple(of: 2) ? "yes" : "no"
    }
}

@Suite("Runs in parts")
struct ShardTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs a benchmark, whole or a part of it; some answers are right.
    private func run(_ benchmark: String, _ shard: Shard? = nil, breakAt: Int? = nil) async throws -> URL {
        let (dataset, samples) = try SmallBenchmarks.samples(benchmark, in: folder)
        let url = folder.url.appending(path: shard.map { "part-\($0.number).jsonl" } ?? "whole.jsonl")
        let model = EchoModel { request in
            let index = Int(request.seed)
            if index == breakAt { throw CancellationError() }
            switch benchmark {
            case "niah": return [index % 3 == 0 ? NeedleHaystack.Needle().answer : "?"]
            case "longgenbench": return [index == 0 ? ": a #*# Week 2: b" : ": a #*# Floor 2: b"]
            default: return [index == 2 ? "?" : "a\(index)"]
            }
        }
        var runner = EvaluationRunner(
            model: model, settings: SmallBenchmarks.settings(benchmark, dataset, samples), samples: samples)
        runner.shard = shard
        try await runner.run(to: url)
        return url
    }

    private func parts(_ benchmark: String, _ numbers: [Int], of count: Int) async throws -> [URL] {
        var urls: [URL] = []
        for number in numbers { urls.append(try await run(benchmark, Shard(number, of: count))) }
        return urls
    }

    @Test("every part has its own samples, and all together are the run", arguments: [1, 3, 4, 9])
    func samples(_ count: Int) async throws {
        let whole = try await EvaluationRun(run("niah"))
        let urls = try await parts("niah", Array(1...count), of: count)
        // Six samples are at most six parts; the files of the others are empty.
        let runs = try await EvaluationRun.runs(at: urls)
        #expect(runs.count == 1 && runs[0].lines.map(\.id) == whole.lines.map(\.id))
        #expect(runs[0].files.count == min(count, 6))
    }

    @Test(
        "parts in any order give the numbers of the run made at once", arguments: ["longbench", "niah", "longgenbench"])
    func sameNumbers(_ benchmark: String) async throws {
        let whole = try await EvaluationRun(run(benchmark))
        let urls = try await parts(benchmark, [2, 1], of: 2)
        let run = try await EvaluationRun(shards: urls)
        #expect(run.scores == whole.scores && run.scores.map(\.interval) == whole.scores.map(\.interval))
        #expect(try EvaluationReport([run]).markdown == EvaluationReport([whole]).markdown)
        #expect(try EvaluationReport([run]).html == EvaluationReport([whole]).html)
    }

    @Test("what is missing is named: parts that are not there, and those that are not finished")
    func missing() async throws {
        let first = try #require(Shard(1, of: 3))
        await #expect(throws: CancellationError.self) { try await run("niah", first, breakAt: 3) }
        let urls = [folder.url.appending(path: "part-1.jsonl")] + (try await parts("niah", [3], of: 3))
        let report = try EvaluationReport([try await EvaluationRun(shards: urls)])
        #expect(
            report.notes.contains(
                "part-1.jsonl and 1 more shards holds 3 of the 6 samples of its run; shards missing: 2/3; 1/3 holds 1 of 2."
            ), "\(report.notes)")
        // The part goes on where it broke off.
        _ = try await run("niah", first)
        let all = try await EvaluationRun(shards: urls + parts("niah", [2], of: 3))
        let notes = try EvaluationReport([all]).notes
        #expect(all.lines.count == 6 && !notes.contains { $0.contains("missing") })
    }

    @Test("verdicts on all parts are those on the whole; on some they do not count")
    func verdicts() async throws {
        let whole = try await run("longgenbench")
        let urls = try await parts("longgenbench", [2, 1], of: 2)
        let cache = try JudgeCache(folder.url.appending(path: "cache.jsonl"))
        let judge = RunJudge(panel: JudgePanel(judge: EveryOther(), cache: cache), task: BlockVerdicts())
        for url in urls + [whole] { try await judge.judge(url) }
        let expected = try await EvaluationRun(whole)
        let run = try await EvaluationRun(shards: urls)
        #expect(expected.scores.count == 5 && run.scores == expected.scores)
        try FileManager.default.removeItem(at: folder.url.appending(path: "part-1.judge.json"))
        let part = try await EvaluationRun(shards: urls)
        #expect(part.scores == [expected.scores[0]])
        #expect(try EvaluationReport([part]).notes.contains { $0.contains("there are none on part-1.jsonl") })
    }

    @Test("a part twice, parts of another number and whole runs among them are refused")
    func refusals() async throws {
        let first = try await run("niah", Shard(1, of: 2))
        let copy = folder.url.appending(path: "copy.jsonl")
        try FileManager.default.copyItem(at: first, to: copy)
        let twice = await #expect(throws: EvaluationError.self) { try await EvaluationRun(shards: [first, copy]) }
        #expect(twice?.description.contains("is there twice") == true)
        let third = try await run("niah", Shard(3, of: 3))
        let other = await #expect(throws: EvaluationError.self) { try await EvaluationRun(shards: [first, third]) }
        #expect(other?.description.contains("the line is a shard of 3, others a shard of 2") == true)
        #expect(Shard("0/3") == nil && Shard("4/3") == nil && Shard("1/0") == nil && Shard("3") == nil)
        #expect(Shard("1/2/3") == nil && Shard("a/3") == nil && Shard("3/3")?.description == "3/3")
    }
}
