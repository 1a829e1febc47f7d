internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import MorphKV
internal import Synchronization

struct CalibrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calibrate", abstract: "Learns what a model's cache has to keep, for the policy augur.",
        discussion: """
            Reads texts with the full cache and learns how much each entry will be needed later. Without texts the model \
            writes its own; better are texts as long as what it will write, of the same kind. What is found is written \
            beside the model, where every command finds it. A run that was stopped goes on when it is started again with \
            the same arguments.
            """)

    @OptionGroup var modelFlags: ModelFlags

    @Option(parsing: .upToNextOption, help: "Files of text to read.", completion: .file())
    var text: [String] = []

    @Option(
        help: "A file of prompts that the model answers greedily: one a line, as text, or as JSON with \"prompt\".",
        completion: .file())
    var prompts: String?

    @Option(help: "Tokens of all texts together, at most; prompts are all answered (default: 32768).")
    var tokens: Int?

    @Option(help: "Tokens of one text, at most (default: what the model was trained for, but at most 2048).")
    var length: Int?

    @Option(help: "Seed of the texts that the model writes without prompts.")
    var seed: UInt32 = 0

    @Option(
        parsing: .upToNextOption,
        help: "Ages in tokens from which on each score holds, at most 8; each takes a byte per entry.")
    var ages: [Int] = Calibration.usualAges

    @Option(help: "How many times as long as an age texts must be to teach it; else it takes what the age before has.")
    var lengthPerAge = Calibrator.Options().lengthPerAge

    @Option(
        name: [.short, .customLong("out")],
        help: "The file to write (default: beside the model, model.augur.gguf for model.gguf).")
    var out: String?

    @Flag(help: "Print one JSON object at the end.")
    var json = false

    func validate() throws {
        guard modelFlags.calibration == nil else {
            throw ValidationError("--calibration is for commands that use one; the file to write is named by --out")
        }
        if prompts != nil, !text.isEmpty { throw ValidationError("give either --text or --prompts") }
        for (name, value) in [("--tokens", tokens), ("--length", length)] where (value ?? 2) < 2 {
            throw ValidationError("\(name) \(value ?? 0): 2 or more is needed")
        }
        for (name, value) in [("--tokens", tokens), ("--length", length)] where (value ?? 2) > Self.mostTokens {
            throw ValidationError("\(name) \(value ?? 0): at most \(Self.mostTokens) are possible")
        }
    }

    /// More residual streams fit into no memory.
    private static let mostTokens = 1 << 30

    func run() throws {
        // A file that grows too large is an error to report, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        let model = try modelFlags.load()
        let url = out.map { URL(fileURLWithPath: $0) } ?? Calibration.url(besideModel: model.url)
        let partial = (
            texts: url.appendingPathExtension("texts.partial"), layers: url.appendingPathExtension("partial")
        )
        try Self.checkWritable(url)
        try checkIsNoInput([url, partial.texts, partial.layers], model)
        let start = ContinuousClock.now
        let stop = StopSignal()
        var options = Calibrator.Options()
        options.ages = ages
        options.lengthPerAge = lengthPerAge
        let calibrator = try Calibrator(
            model, texts: texts(model, options, partial.texts, stop), source: source, options: options)
        try announce(calibrator, model)
        let work = Work(stop)
        defer { work.finish() }
        let result = try calibrator.run(threads: modelFlags.threadCount, partial: partial.layers) {
            try work.show(done: $0.done, of: $0.total, resumed: $0.resumed)
        }
        try result.calibration.write(to: url)
        for file in [partial.texts, partial.layers] { try? FileManager.default.removeItem(at: file) }
        work.finish()
        try show(result, url, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    private static func checkWritable(_ url: URL) throws {
        var isFolder: ObjCBool = false
        let folder = url.deletingLastPathComponent().path
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        guard FileManager.default.isWritableFile(atPath: folder), !(exists && isFolder.boolValue) else {
            throw ValidationError("\(url.path) cannot be written; name another file with --out")
        }
    }

    private func checkIsNoInput(_ outputs: [URL], _ model: Model) throws {
        func resolved(_ path: String) -> String {
            URL(fileURLWithPath: path).absoluteURL.standardizedFileURL.resolvingSymlinksInPath().path
        }
        let inputs = Set(([model.url.path] + text + (prompts.map { [$0] } ?? [])).map(resolved))
        for output in outputs where inputs.contains(resolved(output.path)) {
            throw ValidationError("\(output.path) is read and would be written over; name another file with --out")
        }
    }

    // MARK: Texts

    private var source: String {
        let names = text.map { URL(fileURLWithPath: $0).lastPathComponent }.joined(separator: ", ")
        if !names.isEmpty { return "text: \(names)" }
        return prompts.map { "the model's answers to \(URL(fileURLWithPath: $0).lastPathComponent)" }
            ?? "the model's own texts, seed \(seed)"
    }

    private func texts(
        _ model: Model, _ options: Calibrator.Options, _ partial: URL, _ stop: StopSignal
    ) throws -> [Calibrator.Text] {
        let length = length ?? CalibrationTexts.usualLength(model)
        let texts = try CalibrationTexts(model, length: length, options: options, threads: modelFlags.threadCount)
        let most = tokens ?? 32768
        if !text.isEmpty {
            return try text.flatMap { try texts.pieces(of: Input.text(ofFile: $0), tokens: most / text.count) }
        }
        try Output.write("the model writes its texts\n", to: .standardError)
        let work = Work(stop)
        defer { work.finish() }
        guard let prompts else {
            return try texts.samples(tokens: most, seed: seed, partial: partial) { try work.show(done: $0, of: $1) }
        }
        let asked = try Input.text(ofFile: prompts).split(whereSeparator: \.isNewline).map(Self.prompt)
        let answers = try texts.answers(to: asked, partial: partial) { try work.show(done: $0, of: $1) }
        work.finish()
        if answers.count < asked.count {
            try Output.write(
                "\(asked.count - answers.count) of \(asked.count) answers are left out: the model ended them at once, or "
                    + "they are too short\n", to: .standardError)
        }
        return answers
    }

    /// A prompt as a line of text or of JSON.
    private static func prompt(_ line: Substring) -> String {
        struct Line: Decodable { let prompt: String }
        return (try? JSONDecoder().decode(Line.self, from: Data(line.utf8)))?.prompt ?? String(line)
    }

    // MARK: What is said

    private func announce(_ calibrator: Calibrator, _ model: Model) throws {
        try Output.write(
            "\(calibrator.texts.count) texts with \(calibrator.tokens) tokens, the longest \(calibrator.longest); "
                + "about \(Output.bytes(calibrator.plannedBytes)) of memory besides the model's "
                + "\(Output.bytes(model.weightBytes))\n", to: .standardError)
    }

    /// What `--json` prints.
    private struct Summary: Encodable {
        let file: String
        let bytes: Int
        let texts: Int
        let tokens: Int
        let longest: Int
        let explained: [Double?]
        let seconds: Double
    }

    private func show(_ result: Calibrator.Result, _ url: URL, seconds: Double) throws {
        let (calibration, bytes) = (result.calibration, try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0)
        let made = calibration.provenance
        if json {
            return try Output.printJSON(
                Summary(
                    file: url.path, bytes: bytes, texts: made.texts, tokens: made.tokens, longest: made.longest,
                    explained: result.explained, seconds: seconds))
        }
        print("explained of how much an entry is needed (R2, mean of layers and heads), from an age on:")
        for (age, share) in zip(calibration.ages, result.explained) {
            print("  \(age): " + (share.map { String(format: "%.2f", $0) } ?? "too few tokens, as the age before"))
        }
        print(
            String(
                format: "%@: %@, from %d tokens in texts of up to %d, in %.0f s", url.path, Output.bytes(bytes),
                made.tokens, made.longest, seconds))
    }
}

/// Whether the user asked the process to end.
private final class StopSignal {
    private static let signals = [SIGINT, SIGTERM]
    private let sources: [any DispatchSourceSignal]
    private let received: Received

    /// What the queue of signals and the command share.
    private final class Received: Sendable {
        let value = Mutex<Int32?>(nil)
    }

    init() {
        let received = Received()
        self.received = received
        sources = Self.signals.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { received.value.withLock { $0 = number } }
            source.resume()
            return source
        }
    }

    /// - Throws: `ExitCode` as a shell would state it, once a signal came.
    func check() throws {
        guard let number = received.value.withLock({ $0 }) else { return }
        throw ExitCode(128 + number)
    }
}

/// Progress of a part of the work, which a signal ends.
private final class Work {
    private let stop: StopSignal
    private let display = ProgressDisplay()
    private let start = ContinuousClock.now

    init(_ stop: StopSignal) { self.stop = stop }

    func show(done: Int, of total: Int, resumed: Int = 0) throws {
        do { try stop.check() } catch {
            finish()
            try Output.write("stopped; the same command goes on from here\n", to: .standardError)
            throw error
        }
        display.show(done: done, of: total, resumed: resumed, since: start)
    }

    func finish() { display.finish() }
}
