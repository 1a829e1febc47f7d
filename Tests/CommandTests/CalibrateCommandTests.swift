import Foundation
import TestSupport
import Testing

/// `morphkv calibrate` from its arguments to the file.
@Suite struct CalibrateCommandTests {
    private let folder: TemporaryFolder
    private let model: String

    init() throws {
        folder = try TemporaryFolder()
        model = folder.path("model.gguf")
        try FileManager.default.copyItem(atPath: Fixtures.stories.path, toPath: model)
    }

    private func arguments(_ flags: [String]) -> [String] {
        ["calibrate", "--threads", "1", "--model", model] + flags
    }

    private func calibrate(_ flags: [String]) throws -> Command.Result { try Command.run(arguments(flags)) }

    /// Starts a run and kills it once a file is there.
    private func calibrate(_ flags: [String], killedAt name: String) throws {
        let process = Process()
        process.executableURL = Command.executable
        process.arguments = arguments(flags)
        process.standardError = FileHandle.nullDevice
        try process.run()
        while try process.isRunning && !folder.names.contains(name) { usleep(1000) }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
    }

    private func data(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.path(name))) }

    @Test("the model's own texts give a file beside it, the same for the same seed")
    func ownTexts() throws {
        let flags = ["--tokens", "768", "--length", "192"]
        let result = try calibrate(flags)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("from 768 tokens in texts of up to 192"))
        #expect(result.output.contains("1024: too few tokens"))
        #expect(result.errors.contains("4 texts with 768 tokens"))
        #expect(try folder.names == ["model.augur.gguf", "model.gguf"])
        let again = try calibrate(flags + ["--out", folder.path("again.gguf")])
        #expect(again.status == 0)
        #expect(try data("again.gguf") == data("model.augur.gguf"))
        let other = try calibrate(flags + ["--seed", "1", "--out", folder.path("other.gguf")])
        #expect(other.status == 0)
        #expect(try data("other.gguf") != data("model.augur.gguf"))
        let finer = try calibrate(flags + ["--ages", "1", "4", "12", "--out", folder.path("finer.gguf")])
        #expect(finer.status == 0 && finer.output.contains("  12: ") && !finer.output.contains("  16: "))
    }

    @Test("files of text and answers to prompts")
    func textsAndPrompts() throws {
        let story = String(
            repeating: "Once upon a time there was a dog. He liked to play with a big red ball. ", count: 60)
        let file = try folder.write(story, to: "story.txt").path
        let read = try calibrate(["--text", file, file, "--length", "256", "--json"])
        #expect(read.status == 0, "\(read.errors)")
        struct Summary: Decodable {
            let texts, tokens, longest: Int
            let explained: [Double?]
        }
        let summary = try JSONDecoder().decode(Summary.self, from: Data(read.output.utf8))
        #expect(summary.longest == 256 && summary.texts > 4 && summary.tokens > 1000 && summary.explained[0] != nil)
        let prompts = try folder.write(
            "Once upon a time\n{\"prompt\": \"Tom had\\na dog\"}\nLily\nBen\nOne day\n", to: "prompts.jsonl")
        let asked = try calibrate(["--prompts", prompts.path, "--length", "200", "--json"])
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(try JSONDecoder().decode(Summary.self, from: Data(asked.output.utf8)).texts == 5)
    }

    @Test("a run that was killed, while it wrote texts and while it learned, goes on and gives the identical file")
    func killedRunsGoOn() throws {
        let flags = ["--tokens", "6144", "--length", "512"]
        for name in ["model.augur.gguf.texts.partial", "model.augur.gguf.partial"] {
            try calibrate(flags, killedAt: name)
            #expect(try folder.names.contains(name) && !folder.names.contains("model.augur.gguf"))
        }
        let rest = try calibrate(flags)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try folder.names.filter { $0.hasSuffix("partial") } == [])
        let whole = try calibrate(flags + ["--out", folder.path("whole.gguf")])
        #expect(whole.status == 0)
        #expect(try data("whole.gguf") == data("model.augur.gguf"))
    }

    @Test("a signal ends a run with a message, and an earlier file stays")
    func signalsEndRuns() throws {
        try folder.write("earlier", to: "model.augur.gguf")
        let process = Process()
        process.executableURL = Command.executable
        // More than it can read before the signal comes, however late that is.
        let length = ["--length", "512", "--tokens", "10000000"]
        process.arguments = ["calibrate", "--threads", "1", "--model", model] + length
        let errors = try folder.write("", to: "errors")
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        while try String(contentsOf: errors, encoding: .utf8).isEmpty { Thread.sleep(forTimeInterval: 0.05) }
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 128 + SIGTERM)
        #expect(try String(contentsOf: errors, encoding: .utf8).contains("stopped; the same command goes on"))
        #expect(try data("model.augur.gguf") == Data("earlier".utf8))
    }

    @Test(
        "mistakes are named, and an earlier file stays",
        arguments: [
            (["--tokens", "1"], "--tokens 1"), (["--length", "0"], "--length 0"),
            (["--text", "/nonexistent.txt"], "/nonexistent.txt cannot be read"),
            (["--text", "/dev/null"], "/dev/null cannot be read"),
            (["--tokens", "1073741825"], "--tokens 1073741825"), (["--length", "1073741825"], "--length 1073741825"),
            (["--text", #filePath, "--length", "5"], "10, are needed"), (["--length", "9"], "10, are needed"),
            (["--text", "a", "--prompts", "b"], "either --text or --prompts"),
            (["--prompts", #filePath, "--length", "12"], "leaves no room"),
            (["--prompts", #filePath, "--length", "9"], "10, are needed"),
            (["--tokens", "200", "--length", "100"], "are needed"),
            (["--out", "/nonexistent/x.gguf"], "cannot be written"), (["--ages", "4", "2"], "ages [4, 2]"),
            (["--ages", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "1 to 8 ascending numbers"),
        ])
    func mistakesAreNamed(_ flags: [String], _ message: String) throws {
        try folder.write("earlier", to: "model.augur.gguf")
        let result = try calibrate(flags)
        #expect(result.status != 0 && result.status < 128 && result.errors.contains(message), "\(result.errors)")
        #expect(try data("model.augur.gguf") == Data("earlier".utf8))
    }

    @Test("what is read is never written over")
    func inputsStay() throws {
        let text = try folder.write("Once upon a time", to: "story.partial").path
        let link = folder.path("link.gguf")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: model)
        for flags in [
            ["--out", model], ["--out", link], ["--text", text, "--out", text], ["--prompts", text, "--out", text],
            ["--text", text, "--out", folder.path("story")],
        ] {
            let result = try calibrate(flags)
            #expect(result.status != 0 && result.errors.contains("would be written over"), "\(flags): \(result.errors)")
        }
        #expect(try data("story.partial") == Data("Once upon a time".utf8))
        #expect(try data("model.gguf") == Data(contentsOf: Fixtures.stories))
    }

    @Test("prompts that the model answers by ending the text are left out, and their number is said")
    func answersAreLeftOut() throws {
        var file = try RawGguf(parsing: [UInt8](Data(contentsOf: URL(fileURLWithPath: model))))
        // The comma: "Once upon a time" goes on with it.
        file["tokenizer.ggml.eos_token_id"] = .u32(432)
        try folder.write(file.bytes, to: "model.gguf")
        let story = String(repeating: "Tom had a big red ball. ", count: 40)
        let prompts = try folder.write("Once upon a time\n\(story)He\n\(story)It\n", to: "prompts.txt")
        let result = try calibrate(["--prompts", prompts.path, "--length", "500"])
        #expect(result.status == 0 && result.errors.contains("1 of 3 answers are left out"), "\(result.errors)")
    }

    @Test("a model without a tokenizer is refused")
    func noTokenizer() throws {
        var file = try RawGguf(parsing: [UInt8](Data(contentsOf: URL(fileURLWithPath: model))))
        file["tokenizer.ggml.model"] = .text("no_vocab")
        try folder.write(file.bytes, to: "model.gguf")
        let result = try calibrate([])
        #expect(result.status == 1 && result.errors.contains("has no tokenizer"), "\(result.errors)")
    }
}
