#if Server
import Foundation
import HTTPTypes
import MorphServer
import TestSupport
import Testing

/// Models that are in each other's way: nobody's answer is cut, and nobody waits for ever.
@Suite struct ModelRoomTests {
    @Test func aRunningAnswerIsFinishedBeforeItsModelMakesRoom() async throws {
        try await TestServer.run(folder: TestFolder.models()) { client in
            let reader = try await client.stall("stories")
            let other = try client.begin("amber")
            try await wait(for: "a request to wait") { try await client.figure("morphkv_models_waited_for") == 1 }
            #expect(try await client.states()["stories"] == "loaded")
            let rest = await reader.read(until: "data: [DONE]")
            let ends = rest.components(separatedBy: "\"finish_reason\":\"length\"").count - 1
            #expect(rest.contains("data: [DONE]") && ends == 2)
            #expect(await client.isAnswered(other))
            #expect(try await client.states()["stories"] == "unloaded")
        }
    }

    @Test func aRequestThatWaitsForTooLongIsToldSoAndTheBusyModelStays() async throws {
        try await TestServer.run(folder: TestFolder.models { $0.waitTime = .milliseconds(200) }) { client in
            let reader = try await client.stall("stories")
            let refused = try await client.complete("Hello", 3, ["model": "amber"])
            #expect(refused.status == 503 && refused.error["code"] as? String == "models_busy")
            #expect(refused.headers[.retryAfter] != nil)
            #expect(try await client.complete("Hello", 3, ["model": "stories"]).status == 200)
            let states = try await client.states()
            #expect(states["stories"] == "loaded" && states["amber"] == "unloaded")
            withExtendedLifetime(reader) {}
        }
    }

    @Test func whoIsGoneWaitsNoMoreAndCostsNobodyTheModel() async throws {
        try await TestServer.run(folder: TestFolder.models()) { client in
            let reader = try await client.stall("stories")
            var gone: RawSocket? = try RawSocket(port: client.port)
            gone?.send(RawSocket.completion(#"{"model":"amber","prompt":"x","max_tokens":1}"#))
            try await wait(for: "a request to wait") { try await client.figure("morphkv_models_waited_for") == 1 }
            gone = nil
            try await wait(for: "it to be gone") { try await client.figure("morphkv_models_waited_for") == 0 }
            let rest = await reader.read(until: "data: [DONE]")
            #expect(rest.contains("data: [DONE]"))
            #expect(try await client.complete("Hello", 3, ["model": "stories"]).status == 200)
            let metrics = try await client.get("/metrics").body
            #expect(
                metrics.contains("morphkv_model_loads_total{model=\"stories\"} 1\n"),
                "\(metrics.split(separator: "\n").filter { $0.contains("loads_total") })")
        }
    }

    @Test func onlySoManyRequestsWaitForTheirModels() async throws {
        try await TestServer.run(folder: TestFolder.models { $0.queueLimit = 2 }) { client in
            var reader: RawSocket? = try await client.stall("stories")
            let others = [try client.begin("amber"), try client.begin("brown")]
            try await wait(for: "two to wait") { try await client.figure("morphkv_models_waited_for") == 2 }
            let third = try await client.complete("Hello", 3, ["model": "amber"])
            #expect(third.status == 429 && third.headers[.retryAfter] != nil)
            withExtendedLifetime(reader) {}
            reader = nil
            for other in others { #expect(await client.isAnswered(other)) }
        }
    }

    @Test func newRequestsForABusyModelDoNotKeepThoseForAnotherWaitingForEver() async throws {
        try await TestServer.run(folder: TestFolder.models()) { client in
            let sockets = try (0..<18).map { try client.begin($0 % 6 == 5 ? "amber" : "stories") }
            for socket in sockets { #expect(await client.isAnswered(socket)) }
        }
    }

    @Test func aLargeBodyIsReadOnceForItsModelAndLimitsHold() async throws {
        try await TestServer.run(
            folder: TestFolder.models(2), configure: { $0.maxBodyBytes = 40_000 }
        ) { client in
            let long = String(repeating: "Once upon a time. ", count: 1500)
            // One after the other, more than all the room for bodies.
            for _ in 0..<6 {
                let reply = try await client.complete(long, 1, ["model": "stories"])
                #expect(reply.error["code"] as? String == "context_length_exceeded", "\(reply.body)")
            }
            let form = try await client.post("/v1/completions", raw: "{}", headers: [.contentType: "text/plain"])
            #expect(form.status == 415)
            #expect(try await client.post("/v1/completions", raw: "{").error["code"] as? String == "invalid_json")
            let tooLarge = try await client.complete(long + long, 1, ["model": "stories"])
            #expect(tooLarge.status == 413)
        }
    }
}
#endif
