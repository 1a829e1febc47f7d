#if Server
import Foundation
import HTTPTypes
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Streamed answers that are read again, by llama-server's routes.
@Suite struct StreamTests {
    private static let header = HTTPField.Name("X-Conversation-Id")!

    private static func name(_ id: String) -> HTTPFields { [header: id] }

    /// An answer with a name.
    private static func ask(
        _ client: ServerClient, _ id: String, _ tokens: Int = 20, _ more: [String: Any] = [:],
        headers: HTTPFields = [:]
    ) async throws -> Reply {
        let body: [String: Any] = [
            "prompt": "Once upon a time", "max_tokens": tokens, "temperature": 0, "stream": true,
            "logit_bias": ["1": -100, "2": -100],
        ]
        return try await client.post(
            "/v1/completions", body.merging(more) { $1 }, headers: HTTPFields(Array(headers) + Array(name(id))))
    }

    @Test func anAnswerIsReadAgainFromTheBeginningAndFromAnyByte() async throws {
        try await TestServer.run { client, _ in
            let answer = try await Self.ask(client, "a/b::c d")
            #expect(answer.status == 200 && answer.isDone && !answer.streamedText.isEmpty)
            let again = try await client.get("/v1/stream?conv_id=a%2Fb%3A%3Ac%20d&from=0")
            #expect(again.body == answer.body)
            #expect(again.headers[.contentType]?.hasPrefix("text/event-stream") == true)
            let rest = try await client.get("/v1/stream?conv_id=a%2Fb%3A%3Ac%20d&from=100")
            #expect(rest.body.utf8.elementsEqual(answer.body.utf8.dropFirst(100)))
            let known = try await client.post("/v1/streams/lookup", ["conversation_ids": ["a/b", "nobody's"]])
            let cards = try JSONSerialization.jsonObject(with: Data(known.body.utf8)) as? [[String: Any]] ?? []
            #expect(cards.count == 1 && cards[0]["is_done"] as? Bool == true)
            #expect(cards.first?["total_bytes"] as? Int == answer.body.utf8.count)
            // A new answer takes the place of the one before.
            let other = try await Self.ask(client, "a/b::c d", 5)
            #expect(try await client.get("/v1/stream?conv_id=a%2Fb%3A%3Ac%20d").body == other.body)
        }
    }

    @Test func anAnswerGoesOnWithoutItsClientAndIsReadWhileItIsWritten() async throws {
        try await TestServer.run { client, scheduler in
            let whole = try await Self.ask(client, "first", 400).streamedText
            let body = """
                {"prompt":"Once upon a time","max_tokens":400,"temperature":0,"stream":true,"logit_bias":{"1":-100,"2":-100}}
                """
            do {
                let socket = try RawSocket(port: client.port, seconds: 600)
                socket.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        + "X-Conversation-Id: gone\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                _ = await socket.read(until: "data: {")
            }
            // It may still be written, or over by now: the reader gets all of it either way.
            let again = try await client.get("/v1/stream?conv_id=gone")
            #expect(again.isDone && again.streamedText == whole)
            try await wait(for: "its end") { scheduler.isIdle }
        }
    }

    @Test func anAnswerThatIsCancelledEndsAndIsForgotten() async throws {
        try await TestServer.run { client, scheduler in
            let body = #"{"prompt":"Once","max_tokens":4000,"stream":true,"logit_bias":{"1":-100,"2":-100}}"#
            let socket = try RawSocket(port: client.port, seconds: 600)
            socket.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "X-Conversation-Id: long\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            _ = await socket.read(until: "data: {")
            #expect(try await client.delete("/v1/stream?conv_id=long").status == 204)
            #expect(try await client.get("/v1/stream?conv_id=long").status == 404)
            try await wait(for: "the answer to end") { scheduler.isIdle }
            #expect(try await client.delete("/v1/stream?conv_id=long").status == 204)
        }
    }

    @Test func theOldestMakeRoomAndAnswersTakeNoMoreThanWasAnnounced() async throws {
        try await TestServer.run(configure: { $0.streamBytes = 1 << 20 }) { client, _ in
            // Twenty take more than there is: a number of its own for every token, and twenty others beside it.
            for index in 0..<20 {
                let answer = try await Self.ask(client, "\(index)", 100, ["logprobs": 20])
                #expect(answer.status == 200 && answer.isDone && answer.body.utf8.count > 52_000)
            }
            #expect(try await client.get("/v1/stream?conv_id=0").status == 404)
            #expect(try await client.get("/v1/stream?conv_id=19").status == 200)
            let known = try await client.post(
                "/v1/streams/lookup", ["conversation_ids": (0..<20).map { "\($0)" }])
            let cards = try JSONSerialization.jsonObject(with: Data(known.body.utf8)) as? [[String: Any]] ?? []
            let bytes = cards.compactMap { $0["total_bytes"] as? Int }.reduce(0, +)
            #expect(cards.count > 5 && cards.count < 20 && bytes <= 1 << 20)
        }
    }

    @Test func oneAnswerThatIsLongerThanAllTheRoomLosesItsBeginning() async throws {
        try await TestServer.run(configure: { $0.streamBytes = 1 << 20 }) { client, _ in
            let answer = try await Self.ask(client, "long", 1800, ["logprobs": 20])
            #expect(answer.isDone && answer.body.utf8.count > 1 << 20)
            let lost = try await client.get("/v1/stream?conv_id=long&from=0")
            #expect(lost.status == 400 && lost.error["code"] as? String == "offset_lost")
            let end = answer.body.utf8.count - 100_000
            let rest = try await client.get("/v1/stream?conv_id=long&from=\(end)")
            #expect(rest.body.utf8.elementsEqual(answer.body.utf8.dropFirst(end)))
        }
    }

    @Test func whatMakesNoSenseIsRefusedAndKeysKeepAnswersApart() async throws {
        try await TestServer.run(configure: { $0.keys = APIKeys(["one", "two"]) }) { client, _ in
            let (one, two): (HTTPFields, HTTPFields) = ([.authorization: "Bearer one"], [.authorization: "Bearer two"])
            #expect(try await Self.ask(client, "mine", headers: one).status == 200)
            #expect(try await client.get("/v1/stream?conv_id=mine", headers: one).status == 200)
            #expect(try await client.get("/v1/stream?conv_id=mine", headers: two).status == 404)
            #expect(try await client.get("/v1/stream?conv_id=mine").status == 401)
            let unnamed = try await client.get("/v1/stream", headers: one)
            #expect(unnamed.error["param"] as? String == "conv_id")
            #expect(try await client.get("/v1/stream?conv_id=mine&from=x", headers: one).status == 400)
            let long = String(repeating: "x", count: 300)
            #expect(try await Self.ask(client, long, headers: one).status == 400)
            let many = ["conversation_ids": Array(repeating: "x", count: 300)]
            #expect(try await client.post("/v1/streams/lookup", many, headers: one).status == 400)
            // What fails before it begins leaves nothing.
            #expect(try await Self.ask(client, "bad", -1, headers: one).status == 400)
            #expect(try await client.get("/v1/stream?conv_id=bad", headers: one).status == 404)
        }
        try await TestServer.run(configure: { $0.streamBytes = 0 }) { client, _ in
            let answer = try await Self.ask(client, "mine")
            let again = try await client.get("/v1/stream?conv_id=mine")
            #expect(answer.isDone && again.status == 501)
        }
    }

    @Test func aRequestThatWaitsForItsModelIsTakenBack() async throws {
        try await TestServer.run(folder: TestFolder.models()) { client in
            // Its model cannot come while another one answers.
            let busy = try await client.stall("amber")
            let body = #"{"model":"brown","prompt":"Once","max_tokens":5,"stream":true}"#
            let socket = try RawSocket(port: client.port, seconds: 600)
            socket.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "X-Conversation-Id: waits\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            try await wait(for: "the request to wait") {
                try await client.get("/v1/stream?conv_id=waits").status == 503
            }
            #expect(try await client.delete("/v1/stream?conv_id=waits").status == 204)
            let refusal = await socket.read(until: "cancelled")
            #expect(refusal.hasPrefix("HTTP/1.1 400") && refusal.contains("cancelled"))
            #expect(try await client.get("/v1/stream?conv_id=waits").status == 404)
            withExtendedLifetime(busy) {}
            let answer = try await Self.ask(client, "amber's", 5, ["model": "amber"])
            #expect(try await client.get("/v1/stream?conv_id=amber's").body == answer.body)
        }
    }
}
#endif
