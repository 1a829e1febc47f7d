#if Server
import Foundation
import HTTPTypes
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Contexts that are made, listed and deleted over HTTP.
@Suite struct MadeContextTests {
    @Test func aTextBecomesAContextThatAnswersAsInTheLibrary() async throws {
        let server = try ContextFolderServer()
        try await server.run { client, scheduler in
            for (name, level) in [("pairs", "pair"), ("even", "uniform"), ("layers", "layer"), ("heads", "head")] {
                let made = try await client.compress(name, ["level": level]).json
                #expect(made["state"] as? String == "ready" && made["fraction"] == nil, "\(made)")
                let saved = try CompressedContext(
                    contentsOf: server.folder.url.appending(path: name + ".gguf"), model: scheduler.model)
                #expect(made["tokens"] as? Int == saved.tokens.count)
                let size = try Data(contentsOf: server.folder.url.appending(path: name + ".gguf")).count
                #expect(made["bytes"] as? Int == size + 4 * saved.tokens.count)
                let expected = try await saved.ask(" Ben was", options: .init(maxTokens: 20), threads: 1)
                let answer = try await client.ask(name)
                #expect(answer.text == expected, "\(level): \(answer.body)")
                #expect((answer.json["morphkv"] as? [String: Any])?["context"] as? String == name)
            }
            let list = try await client.get("/v1/contexts").json
            let names = (list["data"] as? [[String: Any]])?.compactMap { $0["id"] as? String }
            #expect(names == ["even", "heads", "layers", "pairs"] && list["can_add"] as? Bool == true)
            #expect(try await client.figure("morphkv_contexts_resident_bytes") == list["resident_bytes"] as? Int)
        }
    }

    @Test func whatIsMadeIsWhatTheLibraryMakes() async throws {
        let server = try ContextFolderServer()
        try await server.run { client, scheduler in
            _ = try await client.compress("long", ["text": ContextFolderServer.long])
            var own = try CompressedContext(reading: ContextFolderServer.long, model: scheduler.model, threads: 1)
            try own.compress(.kvzip(ratio: 0.5), threads: 1)
            let made = try CompressedContext(
                contentsOf: server.folder.url.appending(path: "long.gguf"), model: scheduler.model)
            #expect(made.keptPositions == own.keptPositions && made.tokens == own.tokens)
        }
    }

    @Test func runningAnswersSayTheSameWhileTextsAreCompressed() async throws {
        let server = try ContextFolderServer()
        try await server.run { client, _ in
            let alone = try await client.completeBeside("Once upon a time")
            let prompt = try await client.complete(ContextFolderServer.long, 40)
            async let running = client.completeBeside("Once upon a time")
            for name in ["a", "b", "c"] {
                let body: [String: Any] = ["name": name, "text": ContextFolderServer.long, "ratio": 0.3]
                #expect(try await client.post("/v1/contexts", body).status == 202)
            }
            let beside = try await client.complete(ContextFolderServer.long, 40, ["cache_prompt": false])
            #expect(beside.text == prompt.text && prompt.text?.isEmpty == false)
            #expect(try await running == alone && alone?.isEmpty == false)
            try await wait(for: "all of them") { try await client.figure("morphkv_contexts") == 3 }
        }
    }

    @Test func progressIsToldAndWhatIsNotReadyIsNoContextYet() async throws {
        let server = try ContextFolderServer()
        try await server.run { client, _ in
            async let running = client.completeBeside("Once upon a time")
            for number in 0..<6 {
                let body: [String: Any] = ["name": "n\(number)", "text": ContextFolderServer.long]
                let reply = try await client.post("/v1/contexts", body)
                #expect(reply.status == 202 && reply.headers[.location] == "/v1/contexts/n\(number)")
            }
            let waiting = try await client.context("n5")
            #expect(waiting["state"] as? String == "waiting" && waiting["ratio"] as? Double == 0.3, "\(waiting)")
            let early = try await client.ask("n5")
            #expect(early.status == 409 && early.error["code"] as? String == "context_not_ready", "\(early.body)")
            var fractions: [Double] = []
            try await wait(for: "progress") {
                let all = try await client.get("/v1/contexts").json["data"] as? [[String: Any]]
                let fraction = all?.first { $0["state"] as? String == "compressing" }?["fraction"] as? Double
                if let fraction { fractions.append(fraction) }
                return fractions.count > 2
            }
            #expect(fractions.allSatisfy { (0..<1).contains($0) } && Set(fractions).count > 1, "\(fractions)")
            #expect(try await client.delete("/v1/contexts/n5").json["deleted"] as? Bool == true)
            #expect(try await client.get("/v1/contexts/n5").status == 404)
            let compressing = try await client.get("/v1/contexts").json["data"] as? [[String: Any]]
            let current = try #require(compressing?.first { $0["state"] as? String != "ready" }?["id"] as? String)
            #expect(try await client.delete("/v1/contexts/\(current)").status == 200)
            #expect(try await running?.isEmpty == false)
            try await wait(for: "the others") { try await client.figure("morphkv_contexts") == 4 }
            let files = ["n0", "n1", "n2", "n3", "n4"].filter { $0 != current }.map { "\($0).gguf" }
            #expect(try server.folder.names == files)
        }
    }

    @Test func aContextThatIsDeletedServesTheAnswerThatUsesItAndNoOther() async throws {
        let server = try ContextFolderServer()
        try await server.run { client, _ in
            _ = try await client.compress("kite")
            let first = try await client.completeBeside(" Ben was", context: "kite")
            let reader = try await client.stall("stories", prompt: " Ben was", #""morphkv":{"context":"kite"},"#)
            let uses = try await client.context("kite")["in_use"] as? Int
            #expect(uses ?? 0 > 0)
            #expect(try await client.delete("/v1/contexts/kite").status == 200)
            #expect(try await client.ask("kite").status == 404)
            let held = try await client.figure("morphkv_contexts_resident_bytes")
            let answer = await reader.read(until: "data: [DONE]").streamedText(choice: 0)
            #expect(first?.hasSuffix(answer) == true && answer.count > 1000 && (held ?? 0) > 0)
            try await wait(for: "its memory") { try await client.figure("morphkv_contexts_resident_bytes") == 0 }
            #expect(try server.folder.names == [])
            #expect(try await client.get("/v1/contexts/kite").status == 404)
            // Another text of this name is another context, whatever is kept of the first.
            let other = try await client.compress("kite", ["text": ContextFolderServer.long])
            #expect(other.json["state"] as? String == "ready")
            let saved = try await client.ask("kite", tokens: 30)
            #expect(saved.status == 200 && saved.text.map { first?.hasPrefix($0) == true } == false)
        }
    }

    @Test(
        "what cannot become a context is refused before anything is read",
        arguments: [
            (["name": "../x"], 400, "name"), (["name": ".x"], 400, "name"), (["name": ""], 400, "name"),
            (["name": "a/b"], 400, "name"), (["name": String(repeating: "a", count: 65)], 400, "name"),
            (["ratio": 1.5], 400, "ratio"), (["ratio": "x"], 400, "ratio"), (["level": "none"], 400, "level"),
            (["scores": "guess"], 400, "scores"), (["scores": "augur"], 400, "text"), (["text": ""], 400, "text"),
            (["text": String(repeating: "Ben had a kite. ", count: 200)], 400, "text"),
            (["level": "head", "sinks": -1], 400, "text"), (["level": "layer", "alpha": 2], 400, "text"),
            (["messages": [["role": "user", "content": "x"]]], 400, "text"),
        ] as [([String: any Sendable], Int, String)])
    func refused(more: [String: any Sendable], status: Int, param: String) async throws {
        let server = try ContextFolderServer()
        try await server.run { client, _ in
            let body: [String: Any] = ["name": "x", "text": "Ben had a kite."]
            let reply = try await client.post("/v1/contexts", body.merging(more) { $1 })
            #expect(reply.status == status && reply.error["param"] as? String == param, "\(reply.body)")
            let list = try await client.get("/v1/contexts").json["data"] as? [Any]
            #expect(list?.isEmpty == true)
            #expect(try server.folder.names == [])
        }
    }

    @Test func withoutAFolderThereAreTheContextsOfTheStartOnly() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.post("/v1/contexts", ["name": "x", "text": "y"])
            #expect(reply.status == 501 && (reply.error["message"] as? String)?.contains("--context-dir") == true)
            #expect(try await client.delete("/v1/contexts/x").status == 501)
            let list = try await client.get("/v1/contexts")
            #expect(list.status == 200 && list.json["can_add"] as? Bool == false)
        }
        let server = try ContextFolderServer()
        try await server.run { client, _ in
            _ = try await client.compress("x")
            let again = try await client.post("/v1/contexts", ["name": "x", "text": "y"])
            #expect(again.status == 409 && again.error["code"] as? String == "context_exists", "\(again.body)")
            #expect(try await client.get("/v1/contexts/..%2Fx").status == 404)
            #expect(try await client.delete("/v1/contexts/..%2Fx").status == 404)
        }
    }

    @Test func aTextThatDoesNotEvenFitAloneIsRefusedWithTheNumbers() async throws {
        let server = try ContextFolderServer(bytes: 100_000)
        try await server.run { client, _ in
            let body: [String: Any] = ["name": "x", "text": ContextFolderServer.long, "ratio": 1]
            let reply = try await client.post("/v1/contexts", body)
            #expect(reply.status == 400 && reply.error["code"] as? String == "cache_too_large", "\(reply.body)")
            #expect((reply.error["message"] as? String)?.contains("100000") == true)
        }
    }
}
#endif
