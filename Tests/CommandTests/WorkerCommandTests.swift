import Foundation
import TestSupport
import Testing

/// `morphkv worker`, and commands that use some.
@Suite(.serialized) struct WorkerCommandTests {
    private static func generate(_ arguments: [String], tokens: Int = 40) throws -> Command.Result {
        try Command.run(
            [
                "generate", "--model", Fixtures.stories.path, "--temperature", "0", "--max-tokens", "\(tokens)",
                "--threads",
                "1", "--policy", "morphkv:capacity=32,window=8", "--ignore-eos", "Once upon a time",
            ] + arguments)
    }

    @Test("a text is the same on a worker, on two of them, beside the CPU, and here")
    func sameText() throws {
        let workers = [try WorkerProcess(), try WorkerProcess()]
        let here = try Self.generate(["--attention", "graph", "--no-repack"])
        #expect(here.status == 0 && here.output.count > 60)
        let (one, both) = (workers[0].address, "\(workers[0].address),\(workers[1].address)")
        for places in [
            ["--workers", one], ["--workers", both, "--split", "3,2"],
            ["--workers", both, "--device", "rpc1,cpu,rpc0", "--split", "1,1,1"],
        ] {
            let there = try Self.generate(places)
            #expect(there.status == 0 && there.output == here.output, "\(places): \(there.errors)")
        }
    }

    @Test("the bytes that cross the network are shown")
    func bytes() throws {
        struct Shown: Decodable { let networkBytesPerToken: Int? }
        let worker = try WorkerProcess()
        let there = try Self.generate(["--workers", worker.address, "--json"])
        let here = try Self.generate(["--json"])
        func shown(_ result: Command.Result) throws -> Int? {
            let shown = try JSONDecoder().decode(Shown.self, from: Data(result.output.utf8))
            return shown.networkBytesPerToken
        }
        // A hidden state of 64 numbers and 512 logits, and what says so.
        let bytes = try #require(try shown(there))
        #expect(bytes > 4 * (64 + 512) && bytes < 4 * (64 + 512) + 10_000)
        #expect(try shown(here) == nil)
    }

    @Test(
        "mistakes are named",
        arguments: [
            (["worker", "--host", "0.0.0.0"], "--insecure"), (["worker", "--host", "localhost"], "in numbers"),
            (["worker", "--port", "0"], "port 0"), (["worker", "--device", "nothing"], "nothing"),
            (["generate", "-m", Fixtures.stories.path, "--split", "1,x", "a"], "--split"),
            (["generate", "-m", Fixtures.stories.path, "--split", "1,1", "a"], "split"),
            (["generate", "-m", Fixtures.stories.path, "--device", "cpu,cpu", "a"], "twice"),
            (["generate", "-m", Fixtures.stories.path, "--workers", "127.0.0.1:1", "a"], "127.0.0.1:1"),
        ])
    func mistakes(_ arguments: [String], _ message: String) throws {
        let result = try Command.run(arguments)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
    }

    @Test("a port that somebody has is an error")
    func portInUse() throws {
        let listener = try FreePort.Listener()
        let result = try Command.run(["worker", "--port", "\(listener.port)"])
        #expect(result.status != 0 && result.status < 128 && result.errors.contains("cannot be listened on"))
    }

    #if os(Linux)
    @Test("a model that fits on no worker alone runs on two")
    func fits() throws {
        let folder = try TemporaryFolder()
        let model = folder.path("model.gguf")
        #expect(
            try Command.run(["make-model", "--preset", "smollm2-135m", "--type", "f16", "--output", model]).status == 0)
        func run(_ workers: [WorkerProcess]) throws -> Command.Result {
            try Command.run([
                "bench", "decode", "-m", model, "--lengths", "4", "--rounds", "1", "--steps", "1", "--workers",
                workers.map(\.address).joined(separator: ","),
            ])
        }
        // Threads reserve addresses now and then.
        let arena = "export MALLOC_ARENA_MAX=1"
        let unlimited = try WorkerProcess(shell: arena)
        #expect(try run([unlimited]).status == 0)
        // A fifth of the weights' 269 MB is missing.
        let limit = "\(arena); ulimit -v $((\(try #require(try unlimited.mostAddresses())) - 54000))"
        let alone = try run([WorkerProcess(shell: limit)])
        // ggml refuses a buffer; a message that finds no memory ends the worker.
        #expect(alone.status == 1, "\(alone.errors)")
        #expect(alone.errors.contains("bytes left") || alone.errors.contains("was lost"), "\(alone.errors)")
        let both = try run([WorkerProcess(shell: limit), WorkerProcess(shell: limit)])
        #expect(both.status == 0 && both.output.contains("network per token"), "\(both.errors)")
    }
    #endif

    @Test("when a worker dies, the server refuses its requests with status 503 and ends with a failure in time")
    func serverEnds() async throws {
        let workers = [try WorkerProcess(), try WorkerProcess()]
        let server = try await ServerProcess([
            "--capacity", "64", "--parallel", "2", "--workers", workers.map(\.address).joined(separator: ","),
            "--split", "1,1",
        ])
        #expect(try await server.complete(maxTokens: 8).status == 200, "\(server.errors)")
        #expect(try await server.metrics().isEmpty == false)
        async let running = server.complete(maxTokens: 4000)
        try await wait(for: "the request to run") {
            try await server.metrics()["morphkv_requests_running"] == 1
        }
        let clock = ContinuousClock()
        let start = clock.now
        workers[1].kill()
        let answer = try await running
        #expect(answer.status == 503 && answer.body.contains("worker_lost"), "\(answer)")
        #expect(await server.ended() == 1)
        #expect(clock.now - start < .seconds(10))
        #expect(server.errors.contains("\(workers[1].address)") && server.errors.contains("was lost"))
    }

    @Test("a server that is started again has its contexts as soon as its worker is back")
    func contextsComeBack() async throws {
        let folder = try TemporaryFolder()
        let (worker, other) = (try WorkerProcess(), try WorkerProcess())
        let flags = [
            "--capacity", "64", "--parallel", "2", "--workers", "\(worker.address),\(other.address)", "--split", "1,1",
            "--context-dir", folder.url.path, "--context-bytes", "2000000", "--context-tokens", "500",
        ]
        let question = #"{"prompt":" Ben was","max_tokens":20,"temperature":0,"morphkv":{"context":"kite"}}"#
        let server = try await ServerProcess(flags)
        let text = String(repeating: "Ben had a red kite. He loved to play with it in the big park. ", count: 9)
        let request = #"{"name":"kite","text":"\#(text)","ratio":0.5}"#
        #expect(try await server.send("POST", "/v1/contexts", request).status == 202, "\(server.errors)")
        try await wait(for: "the context") {
            try await server.send("GET", "/v1/contexts/kite").json["state"] as? String == "ready"
        }
        let first = try await server.complete(body: question)
        #expect(first.status == 200, "\(first.body)")
        worker.kill()
        #expect(await server.ended() == 1)
        // As a supervisor does it: in vain as long as there is no worker.
        let early = try await ServerProcess(flags)
        #expect(await early.ended() == 1)
        #expect(early.errors.contains(worker.address), "\(early.errors)")
        let back = try WorkerProcess(port: worker.port)
        let again = try await ServerProcess(flags)
        let second = try await again.complete(body: question)
        #expect(second.status == 200 && Self.text(second.body) == Self.text(first.body), "\(second.body)")
        #expect(await again.end() == 0)
        back.kill()
    }

    private static func text(_ body: String) -> String? {
        struct Answer: Decodable {
            struct Choice: Decodable { let text: String }
            let choices: [Choice]
        }
        return try? JSONDecoder().decode(Answer.self, from: Data(body.utf8)).choices.first?.text
    }
}
