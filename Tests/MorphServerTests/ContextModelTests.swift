#if Server
import Foundation
import Ggml
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Contexts that are made over HTTP by models of other kinds, and with the policy that learns from a calibration.
@Suite struct ContextModelTests {
    /// A server with a folder for contexts.
    private static func server(_ policy: any CachePolicy) throws -> ContextFolderServer {
        var server = try ContextFolderServer(bytes: 64 << 20)
        server.options.cache = CacheOptions(policy: policy)
        return server
    }

    /// A small model with a recurrent state beside its keys, or with layers that see a window only.
    private static func model(_ architecture: String) throws -> URL {
        var shape = ModelShape(
            architecture, embedding: 128, layers: 4, feedForward: 256, queryHeads: 4, kvHeads: 2, headDimension: 32,
            vocabulary: 512, tiesEmbeddings: true, context: 2048, ropeBase: 10000)
        switch architecture {
        case "qwen35":
            shape.attentionInterval = 2
            shape.ropeDimensions = 16
            shape.recurrence = .gatedDeltaNet(
                .init(keyHeads: 2, valueHeads: 4, size: 24, taps: 4, groupsHeads: false))
            shape.extraLists["rope.dimension_sections"] = ModelShape.ropeSections(pairs: 8)
        case "lfm2":
            shape.recurrence = .shortConvolution(taps: 3)
            shape.attentionBlocks = [1, 3]
        default:
            shape.slidingWindow = 48
            shape.slidingPattern = 2
        }
        var model = try RandomModel(shape, type: .q8_0, seed: 5, tokenizer: GgufFile(contentsOf: Fixtures.stories))
        let url = TemporaryFolder.ofTheRun.url.appending(path: "context-\(UUID().uuidString).gguf")
        try model.write(to: url)
        return url
    }

    /// A context that is made over HTTP answers as what the library makes of the same text, by two questions.
    private static func compare(
        _ server: ContextFolderServer, _ url: URL, _ more: [String: any Sendable] = [:]
    ) async throws {
        try await TestServer.run(server.options, model: url) { client, scheduler in
            let made = try await client.compress("kite", more).json
            #expect(made["state"] as? String == "ready", "\(made)")
            let saved = try CompressedContext(
                contentsOf: server.folder.url.appending(path: "kite.gguf"), model: scheduler.model)
            for question in [" Ben was", " One day, the park"] {
                let expected = try await saved.ask(
                    question, options: .init(maxTokens: 20), policy: server.options.cache.policy, threads: 1)
                let reply = try await client.ask("kite", question)
                #expect(reply.text == expected && reply.status == 200, "\(reply.body)")
            }
            // Answers without a context go on beside it.
            #expect(try await client.complete("Once").status == 200)
        }
    }

    @Test(arguments: ["qwen35", "lfm2", "gemma3"])
    func modelsWithAStateOrAWindowHaveContexts(_ architecture: String) async throws {
        let server = try Self.server(MorphKVPolicy(capacity: 128, window: 16))
        try await Self.compare(server, Self.model(architecture))
    }

    @Test(arguments: ["kvzip", "augur"])
    func augurServesContextsByEitherScores(_ scores: String) async throws {
        try await Self.compare(Self.server(AugurPolicy(capacity: 128)), Fixtures.diary, ["scores": scores])
    }

    @Test(arguments: ["qwen35", "gemma3"])
    func whatSuchAModelCannotIsSaidInTheRequest(_ architecture: String) async throws {
        let server = try Self.server(MorphKVPolicy(capacity: 128, window: 16))
        try await TestServer.run(server.options, model: Self.model(architecture)) { client, _ in
            let body: [String: Any] = ["name": "x", "text": ContextFolderServer.text, "scores": "augur"]
            let reply = try await client.post("/v1/contexts", body)
            #expect(reply.status == 400 && reply.error["param"] as? String == "text", "\(reply.body)")
            #expect((reply.error["message"] as? String)?.contains("calibration") == true)
            let level: [String: Any] = ["name": "y", "text": ContextFolderServer.text, "level": "head", "sinks": -1]
            #expect(try await client.post("/v1/contexts", level).status == 400)
            #expect(try server.folder.names == [])
        }
    }
}
#endif
