import Foundation
import TestSupport

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A server that runs as long as a test.
final class ServerProcess: Sendable {
    private let process = Process()
    private let folder: TemporaryFolder
    private var errorFile: URL { folder.url.appending(path: "errors") }
    /// What it said before it listened.
    let announcement: String
    let port: Int

    /// What it has said on standard error.
    var errors: String { (try? String(contentsOf: errorFile, encoding: .utf8)) ?? "" }

    /// Starts a server on a free port and waits until it listens.
    ///
    /// - Parameter model: its model's file; nil if the arguments say.
    init(_ arguments: [String], model: String? = Fixtures.stories.path) async throws {
        let pipe = Pipe()
        folder = try TemporaryFolder()
        process.executableURL = Command.executable
        let named = model.map { ["--model", $0] } ?? []
        process.arguments = ["serve", "--threads", "1", "--port", "0"] + named + arguments
        process.standardOutput = pipe
        process.standardError = try FileHandle(forWritingTo: folder.write("", to: "errors"))
        try process.run()
        let said = await withCheckedContinuation { continuation in
            Thread {
                var text = ""
                while !text.contains("listening on") || !text.hasSuffix("\n") {
                    let data = pipe.fileHandleForReading.availableData
                    if data.isEmpty { break }
                    text += String(decoding: data, as: UTF8.self)
                }
                continuation.resume(returning: text)
            }.start()
        }
        announcement = said
        port = Int(said.split(separator: ":").last?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "") ?? 0
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

    /// Asks for a completion; status 0 says that the connection was cut.
    func complete(maxTokens: Int) async throws -> (status: Int, body: String) {
        try await complete(
            body: #"{"prompt":"Once upon a time","max_tokens":\#(maxTokens),"logit_bias":{"1":-100,"2":-100}}"#)
    }

    func complete(body: String, path: String = "/v1/completions") async throws -> (status: Int, body: String) {
        var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)\(path)")!)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = Data(body.utf8)
        guard let (data, response) = try? await URLSession.shared.data(for: request) else { return (0, "") }
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    /// Sends any request; status 0 says that the connection was cut.
    func send(_ method: String, _ path: String, _ body: String? = nil)
        async throws -> (status: Int, json: [String: Any])
    {
        var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)\(path)")!)
        request.httpMethod = method
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = body.map { Data($0.utf8) }
        guard let (data, response) = try? await URLSession.shared.data(for: request) else { return (0, [:]) }
        let json = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, json ?? [:])
    }

    /// The figures that have no labels.
    func metrics() async throws -> [String: Double] {
        let (data, _) = try await URLSession.shared.data(from: URL(string: "http://127.0.0.1:\(port)/metrics")!)
        let pairs = String(decoding: data, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count == 2 ? Double(words[1]).map { (String(words[0]), $0) } : nil
        }
        return Dictionary(pairs) { $1 }
    }

    /// Sends SIGTERM and waits for the end.
    func end() async -> Int32 {
        process.terminate()
        return await ended()
    }

    /// Waits for the end: its exit status.
    func ended() async -> Int32 {
        await withCheckedContinuation { continuation in
            Thread {
                self.process.waitUntilExit()
                continuation.resume(
                    returning: self.process.terminationReason == .exit ? self.process.terminationStatus : -1)
            }.start()
        }
    }
}
