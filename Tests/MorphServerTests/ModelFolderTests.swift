#if Server
import Foundation
import MorphServer
import TestSupport
import Testing

/// Several models behind one port: which there are, which one answers, and which are in memory.
@Suite struct ModelFolderTests {
    private static let none = ["amber": "unloaded", "brown": "unloaded", "stories": "unloaded", "damaged": "failed"]

    /// The states where some models are loaded.
    private static func loaded(_ names: String...) -> [String: String] {
        none.merging(names.map { ($0, "loaded") }) { $1 }
    }

    @Test func modelsAreListedByTheirFilesAndADamagedOneWithWhatIsWrong() async throws {
        try await TestServer.run(folder: TestFolder.models()) { client in
            #expect(try await client.states() == Self.none)
            let cards = try await client.get("/v1/models").json["data"] as? [[String: Any]] ?? []
            let damaged = try #require(cards.first { $0["id"] as? String == "damaged" }?["status"] as? [String: Any])
            #expect(damaged["failed"] as? Bool == true)
            #expect((damaged["error"] as? String)?.contains("not a well-formed GGUF file") == true)
            let amber = try await client.get("/v1/models/amber").json
            let bytes = try TestFolder.bytes("amber")
            #expect(amber["bytes"] as? Int == bytes && amber["path"] as? String == "amber.gguf")
            #expect(try await client.get("/v1/models/nothing").status == 404)
            #expect(try await client.complete("x", 1, ["model": "damaged"]).error["code"] as? String == "model_failed")
            #expect(try await client.complete("x", 1, ["model": "stories"]).status == 200)
        }
    }

    @Test func modelsInFoldersOfTheFolderHaveTheseInTheirNames() async throws {
        let folder = try TemporaryFolder()
        for path in ["stories", "publisher/stories", "publisher/model/stories", "too/deep/for/stories"] {
            let url = folder.url.appending(path: "\(path).gguf")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(at: url, withDestinationURL: Fixtures.stories)
        }
        // A folder that contains itself: links to folders are not followed.
        try FileManager.default.createSymbolicLink(
            at: folder.url.appending(path: "publisher/again"), withDestinationURL: folder.url)
        var models = ModelFolder(folder.url) { _ in TestFolder.options }
        models.waitTime = .seconds(3600)
        try await TestServer.run(folder: models) { client in
            let names = try await client.states().keys.sorted()
            #expect(names == ["publisher/model/stories", "publisher/stories", "stories"])
            let name = "publisher/model/stories"
            #expect(try await client.complete("Once", 3, ["model": name]).json["model"] as? String == name)
            #expect(try await client.get("/v1/models/\(name)").json["id"] as? String == name)
            #expect(try await client.get("/v1/models/publisher/nothing").status == 404)
        }
    }

    @Test func eachModelAnswersAsItDoesAloneAndTheOneOfLongAgoMakesRoom() async throws {
        let prompt = "Once upon a time"
        nonisolated(unsafe) var alone: [String: String] = [:]
        for name in TestFolder.names {
            let url = TestFolder.url.appending(path: "\(name).gguf")
            try await TestServer.run(TestFolder.options, model: url) { client, _ in
                alone[name] = try await client.complete(prompt).text
            }
        }
        #expect(alone.count == 3 && alone["stories"] != alone["amber"])
        let expected = alone
        try await TestServer.run(folder: TestFolder.models(2)) { client in
            for name in ["stories", "amber", "stories", "brown", "amber", "stories"] {
                let answer = try await client.complete(prompt, 20, ["model": name])
                #expect(answer.text == expected[name] && answer.json["model"] as? String == name)
            }
            #expect(try await client.states() == Self.loaded("amber", "stories"))
            let text = try await client.get("/metrics").body
            // Amber made room for brown, since stories was asked for in between; then stories for amber, and brown for stories.
            for (name, loads) in [("stories", 2), ("amber", 2), ("brown", 1)] {
                #expect(text.contains("morphkv_model_loads_total{model=\"\(name)\"} \(loads)\n"))
            }
        }
    }

    @Test func everyRouteGoesToTheModelThatTheBodyOrTheAddressNames() async throws {
        try await TestServer.run(folder: TestFolder.models(3)) { client in
            let message: [[String: Any]] = [["role": "user", "content": "Hello"]]
            let bodies: [String: [String: Any]] = [
                "/v1/chat/completions": ["messages": message, "max_tokens": 2],
                "/v1/completions": ["prompt": "Hello", "max_tokens": 2],
                "/v1/responses": ["input": "Hello", "max_output_tokens": 2],
                "/v1/messages": ["messages": message, "max_tokens": 2],
                "/completion": ["prompt": "Hello", "n_predict": 2],
            ]
            for (path, body) in bodies {
                for name in ["amber", "stories"] {
                    let answer = try await client.post(path, body.merging(["model": name]) { $1 })
                    #expect(answer.status == 200 && answer.json["model"] as? String == name, "\(path): \(answer.body)")
                }
            }
            for path in ["/tokenize", "/v1/messages/count_tokens", "/apply-template"] {
                let body: [String: Any] = ["model": "brown", "content": "Hello", "messages": message, "max_tokens": 1]
                #expect(try await client.post(path, body).status == 200)
            }
            #expect(try await client.states()["brown"] == "loaded")
            for name in TestFolder.names {
                #expect(try await client.get("/props?model=\(name)").json["model_alias"] as? String == name)
            }
            #expect(try await client.get("/props").json["role"] as? String == "router")
            #expect(try await client.get("/slots?model=brown").body.contains("\"id\":2"))
            let erased = try await client.post("/slots/1?action=erase&model=stories", [:])
            #expect(erased.json["id_slot"] as? Int == 1, "\(erased.body)")
        }
    }

    @Test func aRequestWithoutANameMeansTheOnlyLoadedModelOrTheUsualOne() async throws {
        try await TestServer.run(folder: TestFolder.models(2)) { client in
            let unclear = try await client.complete("x", 1)
            #expect(unclear.status == 400 && unclear.error["param"] as? String == "model")
            #expect((unclear.error["message"] as? String)?.contains("amber, brown, damaged, stories") == true)
            #expect(try await client.complete("x", 1, ["model": "amber"]).status == 200)
            #expect(try await client.complete("x", 1).json["model"] as? String == "amber")
            #expect(try await client.complete("x", 1, ["model": "brown"]).status == 200)
            #expect(try await client.complete("x", 1).status == 400)
            let unknown = try await client.complete("x", 1, ["model": "else"])
            #expect(unknown.status == 404 && unknown.error["code"] as? String == "model_not_found")
            #expect(try await client.complete("x", 1, ["model": 5]).error["param"] as? String == "model")
        }
        let usual = try TestFolder.models(2) { $0.usual = TestFolder.url.appending(path: "brown.gguf") }
        try await TestServer.run(folder: usual) { client in
            let other = try await client.complete("x", 1, ["model": "amber"])
            #expect(other.status == 200)
            #expect(try await client.complete("x", 1).json["model"] as? String == "brown")
        }
    }

    @Test func aModelThatIsLargerThanTheBoundIsRefusedWithTheNumbers() async throws {
        let sizes = try TestFolder.names.map { ($0, try TestFolder.bytes($0)) }.sorted { $0.1 < $1.1 }
        let (small, large) = (sizes[0], sizes[2])
        try #require(small.1 < large.1)
        try await TestServer.run(folder: TestFolder.models { $0.memory = small.1 }) { client in
            let refused = try await client.complete("x", 1, ["model": large.0])
            let message = try #require(refused.error["message"] as? String)
            #expect(refused.status == 400 && refused.error["code"] as? String == "model_too_large")
            #expect(message.contains("\(large.1)") && message.contains("\(small.1)"))
            #expect(try await client.post("/models/load", ["model": large.0]).status == 400)
            #expect(try await client.complete("x", 1, ["model": small.0]).status == 200)
        }
    }

    @Test func clientsLoadAndUnloadModelsAsWithARouterOfLlamaServer() async throws {
        try await TestServer.run(folder: TestFolder.models(2)) { client in
            let load = try await client.post("/models/load", ["model": "amber"])
            #expect(load.status == 200 && load.json["success"] as? Bool == true)
            try await client.wait(forState: "loaded", of: "amber")
            #expect(try await client.post("/models/load", ["model": "amber"]).status == 400)
            #expect(try await client.post("/models/load", ["model": "else"]).status == 404)
            let unload = try await client.post("/models/unload", ["model": "amber"])
            #expect(unload.status == 200 && unload.json["success"] as? Bool == true)
            try await client.wait(forState: "unloaded", of: "amber")
            #expect(try await client.post("/models/unload", ["model": "amber"]).status == 400)
        }
    }

    @Test func aModelThatNobodyAsksForGoesAfterAWhile() async throws {
        try await TestServer.run(folder: TestFolder.models { $0.idleTime = .milliseconds(300) }) { client in
            #expect(try await client.complete("x", 1, ["model": "amber"]).status == 200)
            try await client.wait(forState: "unloaded", of: "amber")
            #expect(try await client.complete("x", 1, ["model": "amber"]).status == 200)
        }
    }

    @Test func theMetricsOfAllModelsAreOneValidText() async throws {
        try await TestServer.run(folder: TestFolder.models(2)) { client in
            for name in ["amber", "stories"] { _ = try await client.complete("x", 3, ["model": name]) }
            let lines = try await client.get("/metrics").body.split(separator: "\n")
            var (name, heads) = ("", Set<Substring>())
            for line in lines where !line.hasPrefix("# HELP ") {
                if line.hasPrefix("# TYPE ") {
                    name = String(line.split(separator: " ")[2])
                    #expect(heads.insert(line.split(separator: " ")[2]).inserted, "\(line)")
                } else {
                    // All samples of a name stand together, behind its head.
                    let isSample = line.wholeMatch(of: /[a-z_:]+(\{[^}]+\})? [-+.0-9e]+/) != nil
                    #expect(line.hasPrefix(name) && isSample, "\(line)")
                }
            }
            for name in ["amber", "stories"] {
                #expect(lines.contains("morphkv_generated_tokens_total{model=\"\(name)\"} 3"))
                #expect(lines.contains("llamacpp:tokens_predicted_total{model=\"\(name)\"} 3"))
                #expect(lines.contains { $0.hasPrefix("morphkv_step_seconds_bucket{model=\"\(name)\",le=\"+Inf\"} ") })
            }
            #expect(lines.contains("morphkv_model_loaded{model=\"brown\"} 0"))
        }
    }
}
#endif
