import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

@testable import MorphDemo

/// The embedded model on a few fixed prompts: what it can do, and what a policy makes it forget.
@Suite struct DemoModelTests {
    private let model: Model
    private let writer: DiaryWriter
    /// The first short diaries of a seed, so that the tests take seconds.
    private let tasks = DiaryTask.tasks(seed: 7, count: 40).filter { $0.sample.number <= 25 }.prefix(3)

    init() throws {
        model = try Model(contentsOf: Fixtures.diary)
        writer = try DiaryWriter(model)
    }

    private func results(_ policies: [String], _ capacities: [DemoCapacity] = []) async throws -> [DemoResult] {
        var results: [DemoResult] = []
        try await DemoEvaluation(writer, tasks: Array(tasks), jobs: 2).run(
            DemoMethod.methods(policies, capacities)
        ) { results.append($0) }
        return results
    }

    @Test("with the full cache the model follows its instructions; streaming at a small capacity forgets early facts")
    func streamingForgets() async throws {
        let results = try await results(["full", "streaming"], [.share(1, of: 16)])
        let (full, streaming) = (results[0], results[1])
        #expect(full.completionRate >= 98 && full.finished == full.samples)
        #expect(full.once >= 95 && full.range >= 90 && full.periodic >= 85 && full.plan >= 90)
        #expect(streaming.once <= full.once / 2)
        #expect(streaming.plan <= full.plan / 2)
        #expect(streaming.cacheBytes < full.cacheBytes / 4)
    }

    @Test("morphkv with room for everything writes what the full cache writes")
    func ampleCapacityIsTheFullCache() async throws {
        let task = try #require(tasks.first)
        let full = try await writer.answer(to: task, policy: FullPolicy())
        let ample = MorphKVPolicy(capacity: full.promptTokens + full.tokens + 1)
        let morphKV = try await writer.answer(to: task, policy: ample)
        #expect(morphKV.text == full.text && !full.text.isEmpty)
        #expect(morphKV.keptPositions == full.keptPositions)
        #expect(full.keptPositions[0][0] == Array(0..<full.promptTokens + full.tokens))
    }

    /// The policies whose caches have constant size.
    private static let constant = ["streaming", "h2o", "tova", "morphkv", "augur", "keydiff", "random"]

    @Test("with a share of the full cache's bytes, no more is taken than that, and little less", arguments: constant)
    func equalBytes(_ policy: String) async throws {
        let tokens = 700
        for share in [2, 4, 8, 16].map({ DemoCapacity.share(1, of: $0) }) {
            let method = try DemoMethod.methods([policy], [share])[0]
            let budget = try writer.budget(share, ofResponse: tokens)
            let entries = try writer.entries(of: method, share, forResponse: tokens)
            let chosen = try method.cachePolicy(entries: entries)
            let session = try Session(model, cache: DiaryWriter.options(chosen), threads: 1)
            let calibration = policy == "augur" ? try #require(try model.calibration()).bytes : 0
            let taken = await session.statistics.allocatedBytes + calibration
            #expect(taken <= budget && Double(taken) >= 0.95 * Double(budget), "\(share): \(taken) of \(budget)")
            let more = try CachePlan(
                model, DiaryWriter.options(method.cachePolicy(entries: entries + 1)), tokens: tokens)
            #expect(more.bytes + more.sharedBytes > budget || entries == share.entries(forResponse: tokens))
        }
    }

    @Test("a cache that grows has its share of the tokens, and too small a share is an error")
    func otherShares() throws {
        let quarter = DemoCapacity.share(1, of: 4)
        for policy in ["snapkv", "pyramidkv", "adakv"] {
            let method = try DemoMethod.methods([policy], [quarter])[0]
            #expect(try writer.entries(of: method, quarter, forResponse: 700) == 175)
        }
        let augur = try DemoMethod.methods(["augur"], [quarter])[0]
        #expect(throws: CacheError.self) { try writer.entries(of: augur, .entries(8), forResponse: 700) }
    }

    @Test("in a quarter of the bytes augur keeps what morphkv forgets; the page's first chart shows it")
    func theDemosComparison() async throws {
        var results: [DemoResult] = []
        let shares = [4, 8].map { DemoCapacity.share(1, of: $0) }
        let names = ["full", "augur", "morphkv"]
        try await DemoEvaluation(writer, tasks: Array(tasks), jobs: 2, comparesBytes: true).run(
            DemoMethod.methods(names, shares)
        ) { results.append($0) }
        #expect(results.map(\.policy) == ["full", "augur", "augur", "morphkv", "morphkv"])
        for result in results.dropFirst() {
            let budget = try #require(result.budget)
            #expect(result.bytes <= budget && Double(result.bytes) > 0.9 * Double(budget))
        }
        #expect(results[1].accuracy >= 95 && results[3].accuracy <= results[1].accuracy / 2)

        let task = try #require(tasks.first)
        let answer = try await writer.answer(to: task, policy: AugurPolicy(capacity: 64))
        #expect(answer.sharedBytes == (try model.calibration()?.bytes) && answer.bytes > answer.cacheBytes)
        #expect(answer.fewestSlots < 64 && answer.slots > 64)
        func makePage(_ results: [DemoResult]) -> String {
            DemoPage(
                task: task, written: [.init(name: "augur", answer: answer)], results: results,
                chartedPolicies: Set(names), notes: []
            ).html
        }
        let early = makePage([])
        #expect(early.contains("<figcaption>Memory of the cache") && !early.contains("All policies"))
        let page = makePage(results)
        let first = try #require(page.components(separatedBy: "<figure>").dropFirst().first)
        #expect(first.contains("<figcaption>Instructions honoured against bytes of the cache"))
        for text in names.map({ ">\($0)</text>" }) + shares.map({ ">\($0) (" }) { #expect(first.contains(text)) }
        #expect(page.contains("<td>\(answer.fewestSlots) to \(answer.slots)</td>"))
    }

    @Test("an answer notes what its cache held and cost")
    func costs() async throws {
        let task = try #require(tasks.first)
        let answer = try await writer.answer(to: task, policy: MorphKVPolicy(capacity: 64, window: 16))
        #expect(answer.slots == 64)
        #expect(answer.policy == "morphkv:capacity=64,window=16")
        #expect(Set(answer.memory.map(\.bytes)) == [answer.cacheBytes])
        #expect(answer.peakBytes > answer.cacheBytes)
        #expect(answer.tokens <= task.maximumNewTokens)
        #expect(answer.keptPositions.allSatisfy { $0.allSatisfy { $0.count == 64 } })
    }
}
