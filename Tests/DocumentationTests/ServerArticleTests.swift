#if Server
import Foundation
import Logging
import MorphKV
import MorphServer
import TestSupport
import Testing

/// The code of the articles about the server, as it stands there; `scripts/check-docs` compares.
@Suite struct ServerArticleTests {
    private let url = Fixtures.stories

    @Test func serve() async throws {
        let model = try Model(contentsOf: url)
        let scheduler = try Scheduler(model, ServingOptions(cache: .morphKV(capacity: 512, window: 32), parallel: 8))
        var configuration = ServerConfiguration(modelName: "stories")
        configuration.port = 0
        let server = try CompletionServer(scheduler, configuration: configuration, logger: Logger(label: "server"))
        // It would take over the signals of the tests' process; ServeCommandTests runs it in one of its own.
        let run: () async throws -> Void = {
            try await server.run { port, memory in
                print("http://127.0.0.1:\(port) stays below \(memory.total) bytes")
            }
        }
        _ = run
        #expect(scheduler.isIdle && scheduler.memory.caches > 0)
        await scheduler.stop()
    }

    @Test func contexts() async throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "report.gguf")
        let model = try Model(contentsOf: url)
        try await Session(model).prefill("Once upon a time there was a dog.").save(to: file)
        var options = ServingOptions(cache: .morphKV(capacity: 512, window: 32))
        options.contexts = ["report": try CompressedContext(contentsOf: file, model: model)]
        let scheduler = try Scheduler(model, options)
        #expect(scheduler.memory.contexts > 0)
        await scheduler.stop()
    }
}
#endif
