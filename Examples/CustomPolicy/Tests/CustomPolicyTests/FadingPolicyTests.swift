import CustomPolicy
import Foundation
import MorphKV
import Testing

@Suite struct FadingPolicyTests {
    private static let model = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Tests/Fixtures/models/stories260K.gguf")

    @Test func itIsReadFromTextLikeAnyOther() throws {
        let registry = PolicyRegistry.standard.adding(FadingPolicy.self)
        let policy = try registry.policy("fading:capacity=40,halfLife=20.0")
        #expect(policy.specification == "fading:capacity=40,halfLife=20.0")
        #expect(registry.descriptors.map(\.name).contains("morphkv"))
    }

    @Test("a session runs with it and keeps to its capacity")
    func aSessionRunsWithIt() async throws {
        let session = try Session(
            Model(contentsOf: Self.model), cache: CacheOptions(policy: FadingPolicy(capacity: 40)), threads: 1)
        var text = ""
        let options = GenerationOptions(maxTokens: 200, ignoresEndOfText: true)
        for try await piece in session.generate("Once upon a time", options: options) { text += piece.text }
        let statistics = await session.statistics
        #expect(statistics.used == 40 && statistics.slots == 40)
        #expect(await session.keptPositions.allSatisfy { $0.allSatisfy { $0.prefix(2) == [0, 1] } })
        #expect(text.count > 200)
    }
}
