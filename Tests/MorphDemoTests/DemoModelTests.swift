import Foundation
import MorphEval
import MorphKV
import Testing

@testable import MorphDemo

/// The embedded model on a few fixed prompts: what it can do, and what a policy makes it forget.
@Suite struct DemoModelTests {
    private let writer: DiaryWriter
    /// The first short diaries of a seed, so that the tests take seconds.
    private let tasks = DiaryTask.tasks(seed: 7, count: 40).filter { $0.sample.number <= 25 }.prefix(3)

    init() throws {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = package.appending(path: "Sources/MorphKVCommand/Resources/diary.gguf")
        writer = try DiaryWriter(Model(contentsOf: file))
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
