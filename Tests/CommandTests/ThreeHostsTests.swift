import Foundation
import TestSupport
import Testing

/// Three hosts with a network between them, as namespaces of this machine's network: one that asks, and two with workers.
@Suite(.enabled(if: ThreeHosts.arePossible, "needs network namespaces: root, and the command ip"))
struct ThreeHostsTests {
    @Test("a text is written by two other hosts, and one that falls silent is noticed in time")
    func threeHosts() async throws {
        let hosts = try ThreeHosts()
        defer { hosts.remove() }
        let workers = try (1...2).map { try hosts.startWorker($0) }
        defer { for worker in workers { worker.terminate() } }
        let arguments = [
            "generate", "--model", Fixtures.stories.path, "--temperature", "0", "--threads", "1", "--policy",
            "morphkv:capacity=32,window=8", "--ignore-eos", "Once upon a time",
        ]
        let places = ["--workers", "10.77.1.2:5005,10.77.2.2:5005", "--split", "1,1"]
        let here = try Command.run(arguments + ["--max-tokens", "24", "--attention", "graph", "--no-repack"])
        let there = try hosts.run(arguments + ["--max-tokens", "24"] + places)
        #expect(there.status == 0 && there.output == here.output, "\(there.errors)")
        // Nobody says good-bye: packets are lost from now on.
        let clock = ContinuousClock()
        let (started, errors) = try hosts.start(arguments + ["--max-tokens", "1000000"] + places)
        try await wait(for: "the first words") { try errors.output().count > 20 }
        let start = clock.now
        try hosts.cut(2)
        while started.isRunning, clock.now - start < .seconds(60) { try await Task.sleep(for: .milliseconds(20)) }
        #expect(!started.isRunning && clock.now - start < .seconds(10))
        started.terminate()
        #expect(started.terminationStatus == 1)
        #expect(try errors.errors().contains("10.77.2.2:5005"))
    }
}

/// See ``ThreeHostsTests``.
private struct ThreeHosts {
    private let name = "mkv\(UInt32.random(in: 0...999_999))"

    /// Whether this process may make namespaces.
    static var arePossible: Bool {
        guard geteuid() == 0 else { return false }
        let name = "mkvprobe\(ProcessInfo.processInfo.processIdentifier)"
        let made =
            (try? shell("ip netns add \(name) && ip -n \(name) link add name va type veth peer name vb")) == true
        _ = try? shell("ip netns del \(name)")
        return made
    }

    init() throws {
        var steps = ["ip netns add \(name)s", "ip -n \(name)s link set lo up"]
        for number in 1...2 {
            steps += [
                "ip netns add \(name)w\(number)",
                "ip -n \(name)s link add name w\(number) type veth peer name eth netns \(name)w\(number)",
                "ip -n \(name)s addr add 10.77.\(number).1/30 dev w\(number)",
                "ip -n \(name)w\(number) addr add 10.77.\(number).2/30 dev eth",
                "ip -n \(name)s link set dev w\(number) up", "ip -n \(name)w\(number) link set dev eth up",
                "ip -n \(name)w\(number) link set lo up",
            ]
        }
        guard try Self.shell(steps.joined(separator: " && ")) else { throw Timeout(description: "no namespaces") }
    }

    func remove() { _ = try? Self.shell("ip netns del \(name)s; ip netns del \(name)w1; ip netns del \(name)w2") }

    /// Takes the cable out of a worker's host.
    func cut(_ number: Int) throws { _ = try Self.shell("ip -n \(name)w\(number) link set dev eth down") }

    func startWorker(_ number: Int) throws -> Process {
        let address = "10.77.\(number).2"
        let process = inside(
            "w\(number)", ["worker", "--host", address, "--port", "5005", "--insecure", "--threads", "1"])
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let probe = "ip netns exec \(name)s bash -c 'exec 3<>/dev/tcp/\(address)/5005'"
        for _ in 0..<600 {
            if try Self.shell(probe) { return process }
            usleep(50_000)
        }
        throw Timeout(description: "the worker does not listen on \(address)")
    }

    func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        let (process, files) = try start(arguments)
        process.waitUntilExit()
        return (process.terminationStatus, try files.output(), try files.errors())
    }

    /// What a process has written so far.
    struct Written {
        fileprivate let folder: TemporaryFolder
        func output() throws -> String { try String(contentsOfFile: folder.path("out"), encoding: .utf8) }
        func errors() throws -> String { try String(contentsOfFile: folder.path("err"), encoding: .utf8) }
    }

    func start(_ arguments: [String]) throws -> (Process, Written) {
        let folder = try TemporaryFolder()
        let process = inside("s", arguments)
        process.standardOutput = try FileHandle(forWritingTo: folder.write("", to: "out"))
        process.standardError = try FileHandle(forWritingTo: folder.write("", to: "err"))
        try process.run()
        return (process, Written(folder: folder))
    }

    private func inside(_ host: String, _ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip", "netns", "exec", "\(name)\(host)", BuiltCommand.url.path] + arguments
        return process
    }

    private static func shell(_ commands: String) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "{ \(commands); } >/dev/null 2>&1"]
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
