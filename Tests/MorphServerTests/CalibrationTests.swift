#if Server
import Foundation
import MorphKV
import TestSupport
import Testing

@testable import MorphServer

/// A server whose model has a calibration.
@Suite struct CalibrationTests {
    private static let options = ServingOptions(
        cache: CacheOptions(policy: AugurPolicy(capacity: 128)), tokensPerSequence: 512, parallel: 2, promptChunk: 64,
        maxPromptTokens: 2000, maxTokens: 400, timeLimit: .seconds(3600), readLimit: .seconds(3600), threads: 1)

    @Test("the model's card and the metrics say what the calibration is; requests without a policy use augur")
    func whatThereIs() async throws {
        try await TestServer.run(Self.options, model: Fixtures.diary) { client, scheduler in
            let calibration = try #require(try scheduler.model.calibration())
            let models = try await client.get("/v1/models").json["data"] as? [[String: Any]]
            let card = try #require(models?.first?["morphkv"] as? [String: Any])
            #expect(card["policy"] as? String == "augur:capacity=128")
            let said = try #require(card["calibration"] as? [String: Any])
            #expect(said["source"] as? String == calibration.provenance.source)
            #expect(said["tokens"] as? Int == calibration.provenance.tokens)
            #expect(said["longest"] as? Int == calibration.provenance.longest)
            #expect(said["bytes"] as? Int == calibration.bytes)
            let metrics = try await client.get("/metrics").body
            #expect(metrics.contains("\nmorphkv_calibration_bytes \(calibration.bytes)\n"))
            for (wanted, policy) in [
                ([:], "augur:capacity=128"), (["capacity": 64], "augur:capacity=64"),
                (["policy": "h2o"], "h2o:capacity=128"),
                (["policy": "augur:lambda=0"], "augur:capacity=128,lambda=0.0"),
            ] as [([String: Any], String)] {
                let reply = try await client.complete("In week 3", 20, ["morphkv": wanted])
                let cache = (reply.json["morphkv"] as? [String: Any])?["cache"] as? [String: Any]
                #expect(reply.status == 200 && cache?["policy"] as? String == policy, "\(reply.body)")
            }
        }
    }

    @Test("a policy that needs more bytes per entry has as many as fit, unless it says how many")
    func asManyAsFit() async throws {
        try await TestServer.run(Self.options, model: Fixtures.diary) { client, scheduler in
            let room = scheduler.memory.cachePerSequence
            func bytes(_ capacity: Int) throws -> Int {
                try scheduler.cacheBytes(Self.options.cache.with(MorphKVPolicy(capacity: capacity, window: 8)))
            }
            #expect(try bytes(128) > room)
            let most = try #require(try (10...128).last { try bytes($0) <= room })
            let reply = try await client.complete("In week 3", 20, ["morphkv": ["policy": "morphkv:window=8"]])
            let cache = (reply.json["morphkv"] as? [String: Any])?["cache"] as? [String: Any]
            #expect(cache?["policy"] as? String == "morphkv:capacity=\(most),window=8", "\(reply.body)")
            for wanted in ["morphkv:window=8,capacity=128", "full"] {
                let refused = try await client.complete("In week 3", 20, ["morphkv": ["policy": wanted]])
                #expect(refused.status == 400 && refused.body.contains("bytes"), "\(refused.body)")
            }
        }
    }

    @Test(
        "where there is no calibration, nothing is said of one, and augur is refused")
    func none() async throws {
        try await TestServer.run { client, _ in
            let card = try await client.get("/v1/models/stories").json["morphkv"] as? [String: Any]
            #expect(card?["policy"] as? String == "morphkv:capacity=128,window=16" && card?["calibration"] == nil)
            let reply = try await client.complete("Once", 20, ["morphkv": ["policy": "augur"]])
            #expect(reply.status == 400 && "\(reply.error["message"] ?? "")".contains("calibration"), "\(reply.body)")
        }
    }
}
#endif
