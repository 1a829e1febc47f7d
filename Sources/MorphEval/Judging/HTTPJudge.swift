#if Evaluation
internal import AsyncHTTPClient
package import Foundation
internal import NIOCore
internal import NIOFoundationCompat
internal import NIOHTTP1

/// A model behind an OpenAI-compatible endpoint as judge.
///
/// Failures that pass (time-outs, broken connections, 408, 429, 5xx, and answers that are not in the protocol) are
/// tried again as ``RetryPolicy`` says; others end the work with the server's own words.
package struct HTTPJudge: Judge {
    private let endpoint: URL
    private let model: String
    private let key: String?
    private let timeout: Duration
    private let retry: RetryPolicy
    private let connections: Connections
    package let identity: String
    package let concurrency: Int

    /// Answers larger than this are refused.
    private static let answerLimit = 4 << 20

    /// Creates a judge.
    ///
    /// - Parameters:
    ///   - url: The endpoint, such as `https://host/v1`; `/chat/completions` is added where it is missing.
    ///   - model: The model's name at the endpoint.
    ///   - key: What authorizes the requests; never part of a message. White space around it does not count.
    ///   - timeout: How long one request may take.
    /// - Throws: ``EvaluationError`` of kind `judge` if the URL is not of the web or the key cannot be sent.
    package init(
        url: URL, model: String, key: String?, concurrency: Int = 8, timeout: Duration = .seconds(120),
        retry: RetryPolicy = RetryPolicy()
    ) throws {
        guard ["http", "https"].contains(url.scheme), url.host() != nil else {
            throw EvaluationError(.judge, "'\(url.absoluteString)' is not a URL that begins with http:// or https://")
        }
        endpoint = url.path.hasSuffix("/chat/completions") ? url : url.appending(path: "chat/completions")
        let trimmed = key?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        guard trimmed.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw EvaluationError(.judge, "the key holds characters that a header cannot")
        }
        self.key = trimmed.isEmpty ? nil : trimmed
        self.model = model
        self.concurrency = concurrency
        self.timeout = timeout
        self.retry = retry
        connections = Connections(atATime: concurrency)
        // Without a name and password, which a URL may hold: the identity is written down and shown.
        var place = URLComponents(url: endpoint, resolvingAgainstBaseURL: true)
        place?.user = nil
        place?.password = nil
        identity = "\(model) at \(place?.string ?? "its endpoint")"
    }

    package func answer(_ question: JudgeQuestion) async throws -> String {
        let request = request(question)
        var failures = 0
        while true {
            do {
                return try await Self.within(timeout) { try await send(request) }
            } catch let failure as Failure {
                failures += 1
                guard failures < retry.attempts else {
                    throw error("\(failure.problem), \(failures) times in a row")
                }
                let random = Double.random(in: 0...1)
                try await Task.sleep(
                    for: retry.delay(after: failures, requested: failure.requestedDelay, random: random))
            }
        }
    }

    /// The client, which is shut down with the last copy of the judge.
    private final class Connections: Sendable {
        let client: HTTPClient

        init(atATime count: Int) {
            var configuration = HTTPClient.Configuration()
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = count
            // A key is for the host that was named.
            configuration.redirectConfiguration = .disallow
            client = HTTPClient(configuration: configuration)
        }

        deinit { client.shutdown { _ in } }
    }

    // MARK: One request

    /// A failure that may pass.
    private struct Failure: Error {
        var problem: String
        var requestedDelay: Duration?
    }

    private func request(_ question: JudgeQuestion) -> HTTPClientRequest {
        let message = JSONValue.object(
            [JSONMember](["role": .string("user"), "content": .string(question.prompt)]))
        let body = JSONValue.object(
            [JSONMember]([
                "model": .string(model), "messages": .array([message]),
                "temperature": .number(Double(question.temperature)), "max_tokens": .integer(question.maximumTokens),
            ]))
        var request = HTTPClientRequest(url: endpoint.absoluteString)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "Accept", value: "application/json")
        if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        request.body = .bytes(ByteBuffer(string: body.line))
        return request
    }

    private func send(_ request: HTTPClientRequest) async throws -> String {
        let response: HTTPClientResponse
        let body: Data
        do {
            response = try await connections.client.execute(request, deadline: .distantFuture)
            body = Data(buffer: try await response.body.collect(upTo: Self.answerLimit))
        } catch let error where !(error is CancellationError) {
            throw Failure(problem: "the connection failed: \(error)")
        }
        switch response.status.code {
        case 200..<300:
            guard let answer = Self.answer(in: body) else {
                throw Failure(problem: "the answer is not in the protocol")
            }
            return answer
        case 408, 429, 500...:
            throw Failure(
                problem: "the answer was \(response.status)",
                requestedDelay: RetryPolicy.requestedDelay(response.headers.first(name: "Retry-After")))
        default:
            throw error("the answer was \(response.status): \(String(decoding: body, as: UTF8.self))")
        }
    }

    /// `choices[0].message.content`.
    private static func answer(in body: Data) -> String? {
        let value = body.withUnsafeBytes { try? JSONParser.parse($0.bindMemory(to: UInt8.self)) }
        return value?["choices"]?.elements?.first?["message"]?["content"]?.text
    }

    private func error(_ problem: String) -> EvaluationError {
        // Servers repeat parts of a request in their errors. Shortening comes last: half a key is still a secret.
        let safe = key.map { problem.replacing($0, with: "…") } ?? problem
        return EvaluationError(.judge, "\(identity): \(safe.prefix(600))")
    }

    /// Ends an operation that takes too long.
    private static func within<Value: Sendable>(
        _ timeout: Duration, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup { group in
            group.addTask(operation: operation)
            group.addTask {
                try await Task.sleep(for: timeout)
                throw Failure(problem: "there was no answer within \(timeout)")
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
#endif
