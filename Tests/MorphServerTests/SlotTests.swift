#if Server
import Foundation
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Slots: what they say, kept conversations that are gone back in, and slots on disk.
@Suite struct SlotTests {
    private static func options(_ cache: CacheOptions) -> ServingOptions {
        var options = TestServer.options
        options.cache = cache
        options.parallel = 2
        return options
    }

    private func ask(_ client: ServerClient, _ prompt: Any, slot: Int, _ more: [String: Any] = [:]) async throws
        -> [String: Any]
    {
        let body: [String: Any] = ["prompt": prompt, "n_predict": 20, "temperature": 0, "id_slot": slot]
        return try await client.post("/completion", body.merging(more) { $1 }).json
    }

    private func tokens(_ client: ServerClient, _ text: String, isStart: Bool = false) async throws -> [Int] {
        let reply = try await client.post("/tokenize", ["content": text, "add_special": isStart])
        return reply.json["tokens"] as? [Int] ?? []
    }

    private func cached(_ answer: [String: Any]) -> Int? { (answer["timings"] as? [String: Any])?["cache_n"] as? Int }

    @Test func aCacheThatHoldsEverythingGoesBackToWhereAPromptDiffers() async throws {
        try await TestServer.run(Self.options(.full)) { client, _ in
            let first = try await ask(client, "Once upon a time Tom had a red car.", slot: 0)
            #expect(cached(first) == 0)
            let other = try await ask(client, "Once upon a time Tom had a red ball.", slot: 0)
            #expect(cached(other) ?? 0 > 8)
            let fresh = try await ask(client, "Once upon a time Tom had a red ball.", slot: 0, ["cache_prompt": false])
            #expect(cached(fresh) == 0 && fresh["content"] as? String == other["content"] as? String)
            #expect(fresh["id_slot"] as? Int == 0)
        }
    }

    @Test func aCacheOfConstantSizeGoesOnOnlyFromAllThatItHasSeen() async throws {
        try await TestServer.run { client, _ in
            _ = try await ask(client, "Once upon a time Tom had a red car.", slot: 0)
            #expect(try await cached(ask(client, "Once upon a time Tom had a red ball.", slot: 0)) == 0)
        }
    }

    @Test(
        "a slot goes on from its file as from itself",
        arguments: ["full", "morphkv:capacity=40,window=8", "streaming:capacity=40"])
    func saving(_ policy: String) async throws {
        let folder = try TemporaryFolder()
        let cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy))
        try await TestServer.run(Self.options(cache), configure: { $0.slotFolder = folder.url }) { client, _ in
            let prompt = try await tokens(client, "Once upon a time Tom had a red car.", isStart: true)
            let answer = try await ask(client, prompt, slot: 1, ["return_tokens": true])
            let then = try await tokens(client, " Then")
            let text = prompt + (answer["tokens"] as? [Int] ?? []) + then
            let saved = try await client.post("/slots/1?action=save", ["filename": "tom.bin"])
            let count = try #require(saved.json["n_saved"] as? Int)
            #expect(count > 20 && saved.json["n_written"] as? Int ?? 0 > 1000, "\(saved.body)")
            let goesOn = try await ask(client, text, slot: 1)
            #expect(cached(goesOn) == count)
            let restored = try await client.post("/slots/0?action=restore", ["filename": "tom.bin"])
            #expect(restored.json["n_restored"] as? Int == count, "\(restored.body)")
            let again = try await ask(client, text, slot: 0)
            #expect(cached(again) == count && again["content"] as? String == goesOn["content"] as? String)
            let erased = try await client.post("/slots/0?action=erase", [:])
            #expect(erased.json["n_erased"] as? Int ?? 0 > count)
            #expect(try await cached(ask(client, text, slot: 0)) == 0)
        }
    }

    @Test func hostileNamesAndFilesAreRefused() async throws {
        let folder = try TemporaryFolder()
        try await TestServer.run(Self.options(.full), configure: { $0.slotFolder = folder.url }) { client, _ in
            for name in ["../x", "/etc/passwd", ".hidden", "", "a/b", "a\u{0}b", String(repeating: "a", count: 200)] {
                for action in ["save", "restore"] {
                    #expect(
                        try await client.post("/slots/0?action=\(action)", ["filename": name]).status == 400, "\(name)")
                }
            }
            #expect(try await client.post("/slots/0?action=restore", ["filename": "none"]).status == 404)
            #expect(try await client.post("/slots/9?action=erase", [:]).status == 400)
            #expect(try await client.post("/slots/0?action=melt", [:]).status == 400)
            #expect(try await client.post("/slots/0?action=save", ["filename": "empty"]).status == 400)
            _ = try await ask(client, "Once upon a time", slot: 0)
            #expect(try await client.post("/slots/0?action=save", ["filename": "good"]).status == 200)
            let good = try Data(contentsOf: folder.url.appendingPathComponent("good"))
            for length in [0, 10, good.count / 2, good.count - 1] {
                try good.prefix(length).write(to: folder.url.appendingPathComponent("cut"))
                #expect(
                    try await client.post("/slots/1?action=restore", ["filename": "cut"]).status == 400, "\(length)")
            }
            var flipped = good
            flipped[good.count / 2] ^= 1
            try flipped.write(to: folder.url.appendingPathComponent("flipped"))
            #expect(try await client.post("/slots/1?action=restore", ["filename": "flipped"]).status == 400)
            #expect(try await ask(client, "Once upon a time", slot: 1)["content"] is String)
        }
        // Another policy's.
        let options = Self.options(.morphKV(capacity: 64, window: 8))
        try await TestServer.run(options, configure: { $0.slotFolder = folder.url }) { client, _ in
            let reply = try await client.post("/slots/0?action=restore", ["filename": "good"])
            #expect(reply.status == 400 && (reply.error["message"] as? String)?.contains("policy") == true)
        }
    }

    @Test func whatIsNotServedSaysSo() async throws {
        try await TestServer.run(configure: {
            ($0.servesSlots, $0.servesMetrics, $0.servesPage) = (false, false, false)
        }) { client, _ in
            for (path, status) in [("/slots", 501), ("/metrics", 501), ("/", 404), ("/props", 200)] {
                #expect(try await client.get(path).status == status, "\(path)")
            }
            #expect(try await client.post("/slots/0?action=save", ["filename": "x"]).status == 501)
            for path in ["/v1/embeddings", "/rerank", "/infill", "/v1/audio/speech", "/v1/images/generations"] {
                let reply = try await client.post(path, ["input": "x"])
                #expect(reply.status == 501 && reply.error["message"] is String, "\(path)")
            }
        }
    }

    @Test func slotsAndPropertiesTellWhatThereIs() async throws {
        try await TestServer.run(Self.options(.full)) { client, _ in
            let reply = try await client.get("/slots")
            let slots = try #require(
                try JSONSerialization.jsonObject(with: Data(reply.body.utf8)) as? [[String: Any]])
            #expect(slots.map { $0["id"] as? Int } == [0, 1])
            #expect(slots.allSatisfy { $0["is_processing"] as? Bool == false && $0["n_ctx"] as? Int == 512 })
            let properties = try await client.get("/props").json
            #expect(properties["total_slots"] as? Int == 2)
            #expect((properties["default_generation_settings"] as? [String: Any])?["n_ctx"] as? Int == 512)
        }
    }
}
#endif
