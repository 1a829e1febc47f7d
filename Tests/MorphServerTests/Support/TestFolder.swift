#if Server
import Foundation
import Ggml
import MorphKV
import MorphServer
import TestSupport

/// Three models of different architectures and nearly the same size, a damaged file, and one that is no model.
enum TestFolder {
    static let names = ["amber", "brown", "stories"]

    static let url: URL = {
        do { return try make() } catch { fatalError("the test models cannot be made: \(error)") }
    }()

    private static func make() throws -> URL {
        let folder = TemporaryFolder.ofTheRun.url.appending(path: "several")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: Fixtures.stories, to: folder.appending(path: "stories.gguf"))
        for (name, architecture) in [("amber", "qwen3"), ("brown", "qwen2")] {
            let shape = ModelShape(
                architecture, embedding: 64, layers: 2, feedForward: 128, queryHeads: 2, kvHeads: 1, headDimension: 32,
                vocabulary: 512, tiesEmbeddings: true, context: 2048, ropeBase: 10000)
            var model = try RandomModel(shape, type: .q8_0, seed: 5, tokenizer: GgufFile(contentsOf: Fixtures.stories))
            try model.write(to: folder.appending(path: "\(name).gguf"))
        }
        try Data("GGUF".utf8).write(to: folder.appending(path: "damaged.gguf"))
        let calibration = Fixtures.diary.deletingPathExtension().appendingPathExtension("augur.gguf")
        try FileManager.default.copyItem(at: calibration, to: folder.appending(path: "another.augur.gguf"))
        return folder
    }

    static let options: ServingOptions = {
        var options = TestServer.options
        options.cache = .morphKV(capacity: 64, window: 8)
        return options
    }()

    /// Bytes that a model is planned with.
    static func bytes(_ name: String) throws -> Int {
        let file = ModelFile(url.appending(path: "\(name).gguf"))
        let plan = try ServingPlan(Model(outlineOf: file.url), options, headBytes: file.headBytes())
        return plan.total + ServerMemory.grammars(of: options.parallel)
    }

    /// - Parameter models: for how many of the models there is room.
    static func models(_ count: Int = 1, _ change: (inout ModelFolder) -> Void = { _ in }) throws -> ModelFolder {
        var folder = ModelFolder(url) { _ in options }
        (folder.idleTime, folder.waitTime) = (nil, .seconds(3600))
        folder.memory = try names.map(bytes).max()! * count + 1000
        change(&folder)
        return folder
    }
}

extension ServerClient {
    /// What is done with each model.
    func states() async throws -> [String: String] {
        let cards = try await get("/models").json["data"] as? [[String: Any]] ?? []
        let pairs = cards.map { card in
            (card["id"] as? String ?? "", (card["status"] as? [String: Any])?["value"] as? String ?? "")
        }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    func wait(forState state: String, of model: String) async throws {
        try await TestSupport.wait(for: "\(model) to be \(state)") { try await states()[model] == state }
    }

    /// A figure of `/metrics` that has no labels.
    func figure(_ name: String) async throws -> Int? {
        let lines = try await get("/metrics").body.split(separator: "\n")
        return lines.first { $0.hasPrefix("\(name) ") }.flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    /// The length of an answer of ``stall(_:prompt:_:)``.
    static var stalledTokens: Int { 6000 }

    /// Begins to read two long answers and then stops, so that their model or context stays busy until the socket is read or gone:
    /// seven megabytes are more than sockets hold, however fast they are written.
    ///
    /// - Parameter more: further members of the body, a comma behind each.
    func stall(_ model: String, prompt: String = "Once", _ more: String = "") async throws -> RawSocket {
        let socket = try RawSocket(port: port, receives: 32768, seconds: 600)
        socket.send(
            RawSocket.completion(
                """
                {"model":"\(model)","prompt":"\(prompt)","max_tokens":\(Self.stalledTokens),"n":2,"stream":true,"logprobs":20,\(more)\
                "temperature":0,"logit_bias":{"1":-100,"2":-100}}
                """))
        _ = await socket.read(until: "data: {")
        return socket
    }

    /// Asks for a short answer on a connection of its own.
    func begin(_ model: String) throws -> RawSocket {
        let socket = try RawSocket(port: port, seconds: 600)
        socket.send(RawSocket.completion(#"{"model":"\#(model)","prompt":"Once upon","max_tokens":20}"#))
        return socket
    }

    /// Whether what a socket asked for was answered.
    func isAnswered(_ socket: RawSocket) async -> Bool {
        let text = await socket.read(until: "finish_reason")
        return text.hasPrefix("HTTP/1.1 200") && text.contains("finish_reason")
    }
}
#endif
