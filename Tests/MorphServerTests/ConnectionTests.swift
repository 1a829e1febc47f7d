#if Server
import Foundation
import HTTPTypes
import HummingbirdTesting
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Clients that misbehave: nothing hangs, and nothing is left behind.
@Suite(.serialized)
struct ConnectionTests {
    static let long =
        #"{"prompt":"Once upon a time","max_tokens":4000,"temperature":1,"logit_bias":{"2":-100,"1":-100}"#

    func untilIdle(_ scheduler: Scheduler) async throws {
        try await wait(for: "the end of all requests") { scheduler.isIdle }
    }

    @Test(
        "malformed HTTP ends the connection, and the server goes on",
        arguments: [
            "NONSENSE\r\n\r\n", "GET /\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
            "POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            "POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 40000) + "\r\n\r\n",
        ])
    func malformed(_ bytes: String) async throws {
        try await TestServer.run(configure: { $0.bodyTime = .milliseconds(300) }) { client, _ in
            let socket = try RawSocket(port: client.port)
            socket.send(bytes)
            let answer = await socket.read()
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(answer.prefix(100))")
            #expect(try await client.get("/health").status == 200)
        }
    }

    @Test func aHeadThatDoesNotComeAndABodyThatStopsEndTheConnection() async throws {
        try await TestServer.run(configure: {
            $0.headerTime = .milliseconds(200)
            $0.bodyTime = .milliseconds(200)
        }) { client, _ in
            let silent = try RawSocket(port: client.port)
            #expect(await silent.read().isEmpty)
            let slow = try RawSocket(port: client.port)
            slow.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
            )
            #expect(await !slow.read().contains("200"))
        }
    }

    @Test func largeBodiesThatDoNotComeDelayOtherLargeOnesOnly() async throws {
        try await TestServer.run(configure: {
            $0.maxBodyBytes = 100_000
            $0.bodyTime = .seconds(600)
        }) { client, _ in
            var slow = try (0..<3).map { _ in try RawSocket(port: client.port) }
            for socket in slow {
                socket.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        + "Content-Length: 90000\r\n\r\n{")
            }
            #expect(try await client.complete("Once upon a time", 5).status == 200)
            // Two fit at a time; this one has its turn when they are gone.
            slow = []
            let large = try await client.complete("Once", 5, ["user": String(repeating: "x", count: 80_000)])
            #expect(large.status == 200 && slow.isEmpty)
        }
    }

    @Test func manyLargeBodiesAtATimeAreAllAnswered() async throws {
        try await TestServer.run(configure: { $0.maxBodyBytes = 100_000 }) { client, _ in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        try await client.complete("Once", 3, ["user": String(repeating: "x", count: 80_000)]).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses == Array(repeating: 200, count: 12))
        }
    }

    @Test func anIdleConnectionIsClosedAfterItsTime() async throws {
        try await TestServer.run(configure: { $0.idleTime = .milliseconds(200) }) { client, _ in
            let socket = try RawSocket(port: client.port)
            socket.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(await socket.read().contains("200 OK"))
        }
    }

    @Test func threeHundredClientsThatGoAwayLeaveNothingBehind() async throws {
        try await TestServer.run(configure: { $0.halfClosedTime = .milliseconds(100) }) { client, scheduler in
            let before = ProcessFigures()?.openFiles ?? 0
            for index in 0..<300 {
                let socket = try RawSocket(port: client.port)
                socket.send(RawSocket.completion(Self.long + (index % 2 == 0 ? ",\"stream\":true}" : "}")))
                if index % 4 == 0 { _ = await socket.read(until: "data:") }
                if index % 3 == 0 { socket.closeInput() }
                try await wait(for: "a shorter queue") { scheduler.statistics.waiting <= 40 }
            }
            try await untilIdle(scheduler)
            let statistics = scheduler.statistics
            #expect(statistics.running == 0 && statistics.waiting == 0)
            #expect(statistics.outcomes[.cancelled] ?? 0 > 250, "\(statistics.outcomes)")
            try await wait(for: "closed sockets") { (ProcessFigures()?.openFiles ?? 0) <= before + 4 }
            #expect(try await client.complete("Once upon a time").text?.contains(CompletionTests.story) == true)
        }
    }

    @Test func aClientThatClosesItsSideStillGetsAShortAnswer() async throws {
        try await TestServer.run { client, scheduler in
            let whole = try RawSocket(port: client.port)
            whole.send(RawSocket.completion(#"{"prompt":"Once upon a time","max_tokens":10,"temperature":0}"#))
            whole.closeInput()
            #expect(await whole.read().contains("there was"))
            let streamed = try RawSocket(port: client.port)
            streamed.send(
                RawSocket.completion(#"{"prompt":"Once upon a time","max_tokens":10,"temperature":0,"stream":true}"#))
            streamed.closeInput()
            #expect(await streamed.read().contains("[DONE]"))
            try await untilIdle(scheduler)
        }
    }

    @Test func aClientThatReadsNothingLosesItsAnswerAndDelaysNobody() async throws {
        var options = TestServer.options
        options.readLimit = .milliseconds(300)
        try await TestServer.run(options, configure: { $0.writeTime = .milliseconds(300) }) { client, scheduler in
            let sockets = try (0..<2).map { _ in try RawSocket(port: client.port) }
            for socket in sockets {
                socket.send(RawSocket.completion(Self.long + ",\"stream\":true,\"n\":2,\"logprobs\":20}"))
            }
            #expect(try await client.complete("Once upon a time").text?.contains(CompletionTests.story) == true)
            try await untilIdle(scheduler)
            withExtendedLifetime(sockets) {}
        }
    }

    @Test func anAnswerDoesNotDependOnWhatElseIsAsked() async throws {
        try await TestServer.run { client, _ in
            let prompts = (0..<12).map {
                "Once upon a time there were \($0) " + String(repeating: "dogs and ", count: $0)
            }
            var alone: [String?] = []
            for prompt in prompts { alone.append(try await client.complete(prompt, 50).text) }
            let together = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                for (index, prompt) in prompts.enumerated() {
                    group.addTask { (index, try await client.complete(prompt, 50).text) }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for index in prompts.indices { #expect(together[index] == alone[index]) }
        }
    }
}
#endif
