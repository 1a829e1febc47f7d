#if Server
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MorphKV
import MorphServer
import TestSupport

/// A server in this process, on a small trained model.
enum TestServer {
    static let options = ServingOptions(
        cache: .morphKV(capacity: 128, window: 16), tokensPerSequence: 512, parallel: 3, queueLimit: 64,
        promptChunk: 64, maxPromptTokens: 2000, maxTokens: 6000, timeLimit: .seconds(3600), readLimit: .seconds(3600),
        threads: 1)

    /// Runs a body against a server on a port of its own.
    static func run(
        _ options: ServingOptions = options, configure: (inout ServerConfiguration) -> Void = { _ in },
        model url: URL = Fixtures.stories, contexts: (Model) throws -> [String: CompressedContext] = { _ in [:] },
        logger given: Logger? = nil,
        _ body: @escaping @Sendable (ServerClient, Scheduler) async throws -> Void
    ) async throws {
        let device = TestDevice.chosen
        let model = try device?.model(url) ?? Model(contentsOf: url)
        var options = options
        if let device { options.cache.attention = device.attention }
        options.contexts = try contexts(model)
        let scheduler = try Scheduler(model, options)
        var configuration = ServerConfiguration(modelName: "stories")
        configuration.port = 0
        // The test client connects long before it asks.
        configuration.headerTime = .seconds(600)
        configure(&configuration)
        var quiet = Logger(label: "tests")
        quiet.logLevel = .critical
        let logger = given ?? quiet
        let server = try CompletionServer(scheduler, configuration: configuration, logger: logger)
        try await server.application().test(.live) { live in
            let port = live.port ?? 0
            try await TestClient.withClient(
                host: "localhost", port: port, configuration: .init(timeout: .seconds(3600))
            ) { client in try await body(ServerClient(client: client, port: port), scheduler) }
        }
        await scheduler.stop()
    }

    /// Runs a body against a server of a folder of models.
    static func run(
        folder: ModelFolder, configure: (inout ServerConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (ServerClient) async throws -> Void
    ) async throws {
        var configuration = ServerConfiguration(modelName: "unused")
        configuration.port = 0
        (configuration.headerTime, configuration.writeTime) = (.seconds(600), .seconds(3600))
        configure(&configuration)
        var quiet = Logger(label: "tests")
        quiet.logLevel = .critical
        let server = try await CompletionServer(folder, configuration: configuration, logger: quiet)
        try await server.application().test(.live) { live in
            let port = live.port ?? 0
            try await TestClient.withClient(
                host: "localhost", port: port, configuration: .init(timeout: .seconds(3600))
            ) { client in try await body(ServerClient(client: client, port: port)) }
        }
    }
}

/// A client that waits as long as a busy machine takes; the framework's own gives up after 20 seconds without a byte.
struct ServerClient {
    fileprivate let client: TestClient
    let port: Int

    private func execute(
        _ path: String, _ method: HTTPRequest.Method, _ headers: HTTPFields, _ body: ByteBuffer?
    ) async throws -> Reply {
        var headers = headers
        headers[.connection] = "keep-alive"
        return Reply(
            try await client.execute(
                TestClient.Request(path, method: method, authority: "localhost", headers: headers, body: body)))
    }
}

/// What came back, as untyped JSON.
struct Reply {
    let status: Int
    let headers: HTTPFields
    let body: String

    init(_ response: TestClient.Response) {
        status = response.status.code
        headers = response.headers
        body = String(buffer: response.body ?? ByteBuffer())
    }

    var json: [String: Any] { object(body) }
    /// What a stream sent, without the mark of its end.
    var events: [[String: Any]] {
        body.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: {") }.map { object(String($0.dropFirst(6))) }
    }
    var isDone: Bool { body.hasSuffix("data: [DONE]\n\n") }
    var error: [String: Any] { json["error"] as? [String: Any] ?? [:] }
    var choices: [[String: Any]] { json["choices"] as? [[String: Any]] ?? [] }
    /// The text of a plain completion, or of a chat.
    var text: String? {
        choices.first.flatMap { $0["text"] as? String ?? ($0["message"] as? [String: Any])?["content"] as? String }
    }
    /// The text that a stream of a plain completion, or of a chat, adds up to.
    var streamedText: String {
        events.compactMap { ($0["choices"] as? [[String: Any]])?.first }.compactMap { choice in
            choice["text"] as? String ?? (choice["delta"] as? [String: Any])?["content"] as? String
        }.joined()
    }
}

private func object(_ text: String) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
}

extension ServerClient {
    func post(_ path: String, _ body: [String: Any], headers: HTTPFields = [:]) async throws -> Reply {
        let data = try JSONSerialization.data(withJSONObject: body)
        return try await post(path, raw: String(decoding: data, as: UTF8.self), headers: headers)
    }

    func post(_ path: String, raw: String, headers: HTTPFields = [:]) async throws -> Reply {
        var all = headers
        if all[.contentType] == nil { all[.contentType] = "application/json" }
        return try await execute(path, .post, all, ByteBuffer(string: raw))
    }

    func get(_ path: String, headers: HTTPFields = [:]) async throws -> Reply {
        try await execute(path, .get, headers, nil)
    }

    func delete(_ path: String, headers: HTTPFields = [:]) async throws -> Reply {
        try await execute(path, .delete, headers, nil)
    }

    /// A greedy completion.
    func complete(_ prompt: String, _ tokens: Int = 20, _ more: [String: Any] = [:]) async throws -> Reply {
        let body: [String: Any] = ["prompt": prompt, "max_tokens": tokens, "temperature": 0]
        return try await post("/v1/completions", body.merging(more) { $1 })
    }

    /// A greedy answer in a chat.
    func chat(_ text: String, _ tokens: Int = 20, _ more: [String: Any] = [:]) async throws -> Reply {
        let body: [String: Any] = [
            "messages": [["role": "user", "content": text]], "max_tokens": tokens, "temperature": 0,
        ]
        return try await post("/v1/chat/completions", body.merging(more) { $1 })
    }
}
#endif
