import Foundation
import TestSupport
import Testing

/// The command as users run it: a process with arguments, standard streams and an exit status.
@Suite struct CommandTests {
    @Test func helpNamesEveryCommand() throws {
        let result = try Command.run(["--help"])
        #expect(result.status == 0)
        for name in [
            "generate", "chat", "serve", "inspect", "policies", "perplexity", "trace", "make-model", "eval", "score",
            "judge", "report", "bench",
        ] {
            #expect(result.output.contains(name))
        }
    }

    @Test func policiesAreListedWithTheirSource() throws {
        let result = try Command.run(["policies"])
        #expect(result.status == 0)
        for name in [
            "full", "streaming", "h2o", "tova", "morphkv", "keydiff", "random", "snapkv", "pyramidkv", "adakv", "kvzip",
        ] {
            #expect(result.output.contains("\n\(name): ") || result.output.hasPrefix("\(name): "))
        }
        #expect(result.output.contains("arXiv 2503.00979"))
    }

    @Test(
        "mistakes end with a message that names them and a failure status",
        arguments: [
            (["generate", "--model", "/nonexistent.gguf", "x"], "/nonexistent.gguf"),
            (["generate", "x"], "--model"),
            (["inspect", "/dev/null"], "cannot be read"),
            (["make-model", "--preset", "nothing", "--output", "/tmp/x.gguf"], "llama-3.2-1b"),
            (["make-model", "--preset", "qwen2.5-0.5b", "--type", "i32", "--output", "/tmp/x.gguf"], "i32"),
            (
                ["make-model", "--preset", "smollm2-135m", "--tokenizer-from", "/dev/null", "--output", "/tmp/x.gguf"],
                "cannot be read"
            ),
            (["trace", "/nonexistent.json"], "nonexistent.json"),
        ])
    func mistakesAreNamed(_ arguments: [String], _ message: String) throws {
        let result = try Command.run(arguments)
        #expect(result.status != 0 && result.status < 128)
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test func aFullDiskIsAnErrorAndLeavesNoFile() throws {
        guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
        let result = try Command.run(["make-model", "--preset", "qwen2.5-0.5b", "--output", "/dev/full/x.gguf"])
        #expect(result.status == 1 && result.errors.contains("cannot be written"), "\(result.errors)")
    }
}

/// The command on a real model.
@Suite struct GenerateCommandTests {
    @Test("piped, only the text is on standard output")
    func onlyTextOnStandardOutput() throws {
        let result = try Command.run(
            [
                "generate", "--threads", "1", "--model", Fixtures.stories.path, "Once upon a time", "-n", "20",
                "--capacity",
                "16", "--window", "4",
            ])
        #expect(result.status == 0 && result.errors.isEmpty)
        #expect(result.output.hasPrefix(", there was a little girl named Lily"))
    }

    @Test func thePromptComesFromStandardInputOrAFile() throws {
        let arguments = ["generate", "--threads", "1", "--model", Fixtures.stories.path, "-n", "12"]
        let direct = try Command.run(arguments + ["Tom had a dog"])
        let piped = try Command.run(arguments, input: "Tom had a dog")
        let folder = try TemporaryFolder()
        let file = try folder.write("Tom had a dog", to: "prompt.txt")
        let fromFile = try Command.run(arguments + ["--file", file.path])
        #expect(direct.status == 0 && !direct.output.isEmpty)
        #expect(piped.output == direct.output && fromFile.output == direct.output)
    }

    @Test func aPromptThatIsNotUTF8IsRefused() throws {
        let result = try Command.run(["generate", "--model", Fixtures.stories.path], bytes: Data([0x66, 0xFF, 0xFE]))
        #expect(result.status != 0 && result.errors.contains("UTF-8"))
    }

    @Test func jsonReportsWhatTheCacheHeld() throws {
        let result = try Command.run([
            "generate", "--threads", "1", "--model", Fixtures.stories.path, "Once", "-n", "100", "--ignore-eos",
            "--json",
            "--policy", "morphkv:capacity=32,window=8",
        ])
        let report = try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.errors)")
        #expect(report["tokens"] as? Int == 100 && report["slots"] as? Int == 32)
        #expect(report["slotsUsed"] as? Int == 32)
        #expect(report["cachePlannedBytes"] as? Int == report["cacheAllocatedBytes"] as? Int)
        #expect(report["policy"] as? String == "morphkv:capacity=32,window=8")
    }

    @Test func impossibleCapacitiesAreRefusedBeforeAnythingRuns() throws {
        for flags in [
            ["--capacity", "32"], ["--capacity", "1"], ["--capacity", "0"], ["--policy", "h2o:capacity=x"],
        ] {
            let result = try Command.run(["generate", "--threads", "1", "--model", Fixtures.stories.path, "x"] + flags)
            #expect(result.status != 0 && result.status < 128 && result.output.isEmpty, "\(flags)")
        }
    }

    @Test func inspectShowsShapeAndCost() throws {
        let result = try Command.run(["inspect", Fixtures.stories.path, "--capacities", "64"])
        #expect(result.status == 0)
        for text in ["llama, 5 layers", "8 query, 4 KV", "tokenizer: 512 tokens", "morphkv:capacity=64", "fits"] {
            #expect(result.output.contains(text))
        }
        // 512 tokens: 4 heads of 8 numbers, keys and values in two bytes; 64 hidden numbers in four bytes.
        // That is 196,608 bytes.
        #expect(result.output.contains("while a prompt of 512 tokens is read: 197 KB more"))
        let chunked = try Command.run(["inspect", Fixtures.stories.path, "--capacity", "64", "--prefill-chunk", "32"])
        #expect(chunked.output.contains("while a prompt of 512 tokens is read: 20 KB more"))
    }

    @Test func perplexityUnderTheFullPolicyIsThatOfTheFullCache() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
            to: "text.txt")
        func measure(_ policy: String) throws -> [String: Any] {
            let result = try Command.run([
                "perplexity", "--threads", "1", "--model", Fixtures.stories.path, "--file", file.path, "--policy",
                policy,
                "--json",
            ])
            return try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        }
        let full = try measure("full")
        #expect(full["perplexity"] as? Double == full["fullPerplexity"] as? Double)
        #expect(full["meanKL"] as? Double == 0)
        let small = try measure("streaming:capacity=8,sinks=1")
        #expect(try #require(small["meanKL"] as? Double) > 0)
    }

    @Test func aModelThatIsCutOffIsRefused() throws {
        let data = try Data(contentsOf: Fixtures.stories)
        let folder = try TemporaryFolder()
        let file = try folder.write(data.prefix(data.count / 2), to: "half.gguf")
        let result = try Command.run(["generate", "--model", file.path, "x"])
        #expect(result.status == 1 && result.errors.contains("truncated"), "\(result.errors)")
    }
}

/// Runs the built command.
enum Command {
    struct Result {
        let status: Int32
        let output: String
        let errors: String
    }

    static let executable = BuiltCommand.url

    static func run(_ arguments: [String], input: String, environment: [String: String] = [:]) throws -> Result {
        try run(arguments, bytes: Data(input.utf8), environment: environment)
    }

    /// - Parameters:
    ///   - shell: commands of `sh` that come before the command, in the same process.
    ///   - seconds: when the process is killed, if it has not ended by then.
    static func run(
        _ arguments: [String], bytes: Data = Data(), environment: [String: String] = [:], shell: String? = nil,
        killedAfter seconds: Double? = nil
    ) throws -> Result {
        let process = Process()
        process.executableURL = shell == nil ? executable : URL(fileURLWithPath: "/bin/sh")
        process.arguments = (shell.map { ["-c", "\($0); exec \"$0\" \"$@\"", executable.path] } ?? []) + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let folder = try TemporaryFolder()
        // Files instead of pipes: a process that writes much to one of them never waits for a reader.
        let input = try folder.write(bytes, to: "in")
        let (output, errors) = (try folder.write("", to: "out"), try folder.write("", to: "err"))
        process.standardInput = try FileHandle(forReadingFrom: input)
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        if let seconds {
            Thread.sleep(forTimeInterval: seconds)
            kill(process.processIdentifier, SIGKILL)
        }
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        func text(_ url: URL) throws -> String { String(decoding: try Data(contentsOf: url), as: UTF8.self) }
        return Result(status: status, output: try text(output), errors: try text(errors))
    }
}
