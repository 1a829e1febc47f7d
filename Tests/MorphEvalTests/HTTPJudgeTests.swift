import Foundation
import JudgeTestServer
import MorphEval
import Testing

@Suite("Judges behind an endpoint")
struct HTTPJudgeTests {
    private static let question = JudgeQuestion(prompt: "Is \"it\" so?\n是", maximumTokens: 50, temperature: 0)

    /// Waits so short that no test takes time.
    private static func retry(attempts: Int = 4) -> RetryPolicy {
        var retry = RetryPolicy()
        retry.attempts = attempts
        retry.firstDelay = .milliseconds(1)
        retry.longestRequestedDelay = .milliseconds(1)
        return retry
    }

    private func judge(
        _ server: JudgeServer, key: String? = "secret-key", attempts: Int = 4, timeout: Duration = .seconds(20)
    ) throws -> HTTPJudge {
        try HTTPJudge(
            url: server.url, model: "m", key: key, timeout: timeout, retry: Self.retry(attempts: attempts))
    }

    @Test("a question is one chat message with the key in its header")
    func request() async throws {
        let server = try await JudgeServer { _, _ in .answer("Yes, \"so\"\n") }
        #expect(try await judge(server).answer(Self.question) == "Yes, \"so\"\n")
        let request = try #require(server.requests.first)
        #expect(request.path == "/v1/chat/completions" && request.authorization == "Bearer secret-key")
        let body = try #require(JSONSerialization.jsonObject(with: Data(request.body.utf8)) as? [String: Any])
        #expect(body["model"] as? String == "m" && body["max_tokens"] as? Int == 50)
        #expect(body["messages"] as? [[String: String]] == [["role": "user", "content": Self.question.prompt]])

        _ = try await judge(server, key: nil).answer(Self.question)
        #expect(server.requests.last?.authorization == nil)
    }

    @Test(
        "failures that may pass are tried again",
        arguments: [
            .response(status: 429, headers: ["Retry-After": "0"]), .response(status: 500),
            .response(status: 503, body: "<html>"), .response(status: 408), .hangUp,
            .response(status: 200, body: "not JSON"), .response(status: 200, body: #"{"choices": []}"#),
            .response(status: 200, body: #"{"choices": [{"message": {"content": null}}]}"#),
        ] as [JudgeServer.Reply])
    func passingFailures(_ failure: JudgeServer.Reply) async throws {
        let server = try await JudgeServer { number, _ in number < 2 ? failure : .answer("yes") }
        #expect(try await judge(server).answer(Self.question) == "yes")
        #expect(server.requests.count == 3)
    }

    @Test("a request without an answer is given up and made anew")
    func slowServer() async throws {
        let server = try await JudgeServer { number, _ in number == 0 ? .silence : .answer("no") }
        #expect(try await judge(server, timeout: .milliseconds(200)).answer(Self.question) == "no")
        #expect(server.requests.count >= 2)
    }

    @Test("after the last attempt the failure is an error that says what happened")
    func lastAttempt() async throws {
        let server = try await JudgeServer { _, _ in .response(status: 500) }
        let error = await #expect(throws: EvaluationError.self) {
            try await judge(server, attempts: 3).answer(Self.question)
        }
        #expect(error?.kind == .judge && error?.description.contains("3 times in a row") == true)
        #expect(server.requests.count == 3)
    }

    @Test("a refusal is not tried again, and its words never show the key", arguments: [400, 401, 403, 404])
    func refusal(_ status: Int) async throws {
        let server = try await JudgeServer { _, request in
            .response(status: status, body: "no such key: \(request.authorization ?? "")")
        }
        let error = await #expect(throws: EvaluationError.self) { try await judge(server).answer(Self.question) }
        #expect(error?.description.contains("\(status)") == true)
        #expect(error?.description.contains("no such key") == true)
        #expect(error?.description.contains("secret-key") == false)
        #expect(server.requests.count == 1)
    }

    @Test("half a key is not shown either, wherever an error is shortened")
    func longRefusal() async throws {
        for length in stride(from: 480, through: 620, by: 4) {
            let server = try await JudgeServer { _, request in
                .response(status: 400, body: String(repeating: "x", count: length) + (request.authorization ?? ""))
            }
            let error = await #expect(throws: EvaluationError.self) { try await judge(server).answer(Self.question) }
            #expect(error?.description.contains("secr") == false)
        }
    }

    @Test("space around a key does not count, and a key that no header can hold is refused without showing it")
    func keys() async throws {
        let server = try await JudgeServer { _, _ in .answer("yes") }
        _ = try await judge(server, key: " secret-key\n").answer(Self.question)
        _ = try await judge(server, key: "\n").answer(Self.question)
        #expect(server.requests.map(\.authorization) == ["Bearer secret-key", nil])
        for key in ["secret\nkey", "sécret", "secret key"] {
            let error = #expect(throws: EvaluationError.self) { try judge(server, key: key) }
            #expect(error?.kind == .judge && error?.description.contains(key) == false)
        }
    }

    @Test("a redirection is not followed: the key is for the host that was named")
    func redirection() async throws {
        let other = try await JudgeServer { _, _ in .answer("yes") }
        let server = try await JudgeServer { _, _ in
            .response(status: 307, headers: ["Location": other.url.absoluteString + "/chat/completions"])
        }
        let error = await #expect(throws: EvaluationError.self) { try await judge(server).answer(Self.question) }
        #expect(error?.description.contains("307") == true && other.requests.isEmpty)
    }

    @Test("addresses that are not of the web are refused", arguments: ["file:///x", "host/v1", "ftp://host"])
    func addresses(_ text: String) throws {
        let url = try #require(URL(string: text))
        #expect(throws: EvaluationError.self) { try HTTPJudge(url: url, model: "m", key: nil) }
    }

    @Test("a name and password in an address are never shown")
    func credentials() throws {
        let url = try #require(URL(string: "http://me:hidden@127.0.0.1:1/v1/chat/completions"))
        let judge = try HTTPJudge(url: url, model: "m", key: nil)
        #expect(judge.identity == "m at http://127.0.0.1:1/v1/chat/completions")
    }

    @Test("waits double, are spread, and end at the longest")
    func delays() {
        var retry = RetryPolicy()
        retry.firstDelay = .seconds(1)
        retry.longestDelay = .seconds(8)
        let waits = (1...6).map { retry.delay(after: $0, requested: nil, random: 0) }
        #expect(waits == [1, 2, 4, 8, 8, 8].map { .seconds($0) })
        #expect(retry.delay(after: 2, requested: nil, random: 1) == .seconds(1))
        #expect(retry.delay(after: 1, requested: .seconds(40), random: 1) == .seconds(40))
        #expect(retry.delay(after: 1, requested: .seconds(4000), random: 1) == .seconds(600))
        #expect(retry.delay(after: 1000, requested: nil, random: 0) == .seconds(8))
    }

    @Test("Retry-After is a number of seconds or a date")
    func retryAfter() {
        let now = Date(timeIntervalSince1970: 784_111_777)
        #expect(RetryPolicy.requestedDelay("120", now: now) == .seconds(120))
        #expect(RetryPolicy.requestedDelay("Sun, 06 Nov 1994 08:50:07 GMT", now: now) == .seconds(30))
        #expect(RetryPolicy.requestedDelay("Sun, 06 Nov 1994 08:00:00 GMT", now: now) == .zero)
        #expect(RetryPolicy.requestedDelay("soon", now: now) == nil)
        #expect(RetryPolicy.requestedDelay("-1", now: now) == nil)
        #expect(RetryPolicy.requestedDelay(nil, now: now) == nil)
    }
}
