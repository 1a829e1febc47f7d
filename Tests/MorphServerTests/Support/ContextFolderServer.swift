#if Server
import Foundation
import MorphKV
import MorphServer
import TestSupport
import Testing

/// A server with a folder for contexts that are made over HTTP.
struct ContextFolderServer {
    static let text = """
        Ben had a red kite. He loved to play with his kite in the big park near his house. One day, Ben and his mom went \
        to the park. The wind was very strong.
        """
    /// Longer than a part of a prompt by far.
    static let long = days(5)
    /// Takes seconds, however fast the machine is.
    static let veryLong = days(26)

    private static func days(_ count: Int) -> String {
        (0..<count).map { "\(text) Then Ben went home, and it was day \($0)." }.joined(separator: " ")
    }

    let folder: TemporaryFolder
    var options = TestServer.options
    var template: String?

    init(bytes: Int = 4 << 20, tokens: Int = 500) throws {
        folder = try TemporaryFolder()
        options.contextFolder = ContextFolder(folder.url, bytes: bytes, tokens: tokens)
    }

    func run(_ body: @escaping @Sendable (ServerClient, Scheduler) async throws -> Void) async throws {
        try await TestServer.run(
            options,
            configure: {
                $0.chatTemplate = template
                // Answers that nobody reads stay.
                $0.writeTime = .seconds(3600)
            }, body)
    }

    /// Puts a context into the folder, as an earlier server would have.
    ///
    /// - Returns: its bytes in memory.
    @discardableResult
    func save(_ name: String, _ text: String = text) throws -> Int {
        var context = try CompressedContext(reading: text, model: Model(contentsOf: Fixtures.stories), threads: 1)
        try context.compress(.kvzip(ratio: 0.5), threads: 1)
        let file = folder.url.appending(path: name + ".gguf")
        try context.save(to: file)
        return try Data(contentsOf: file).count + 4 * context.tokens.count
    }
}

extension ServerClient {
    /// Has a text compressed and waits until it is.
    func compress(_ name: String, _ more: [String: Any] = [:]) async throws -> Reply {
        var body: [String: Any] = ["name": name, "ratio": 0.5]
        if more["messages"] == nil { body["text"] = ContextFolderServer.text }
        let reply = try await post("/v1/contexts", body.merging(more) { $1 })
        #expect(reply.status == 202 && reply.json["id"] as? String == name, "\(reply.body)")
        try await TestSupport.wait(for: "the context \(name)") {
            try await ["ready", "failed"].contains(context(name)["state"] as? String)
        }
        return try await get("/v1/contexts/\(name)")
    }

    /// The text of a long greedy answer on a connection of its own, so that others can be asked meanwhile.
    func completeBeside(_ prompt: String, context: String? = nil) async throws -> String? {
        var body: [String: Any] = [
            "prompt": prompt, "max_tokens": Self.stalledTokens, "temperature": 0, "cache_prompt": false,
            "logit_bias": ["1": -100, "2": -100],
        ]
        if let context { body["morphkv"] = ["context": context] }
        let data = try JSONSerialization.data(withJSONObject: body)
        // A machine that is busy with something else fails no test.
        let socket = try RawSocket(port: port, seconds: 600)
        socket.send(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(data.count)\r\n\r\n" + String(decoding: data, as: UTF8.self))
        let said = await socket.read()
        guard let start = said.firstRange(of: "\r\n\r\n")?.upperBound else { return nil }
        let json = try JSONSerialization.jsonObject(with: Data(said[start...].utf8)) as? [String: Any]
        return (json?["choices"] as? [[String: Any]])?.first?["text"] as? String
    }

    /// What is known of a context.
    func context(_ name: String) async throws -> [String: Any] { try await get("/v1/contexts/\(name)").json }

    /// A question about a context.
    func ask(_ name: String, _ question: String = " Ben was", tokens: Int = 20, _ more: [String: Any] = [:])
        async throws -> Reply
    {
        try await complete(question, tokens, ["morphkv": ["context": name]].merging(more) { $1 })
    }
}
#endif
