#if Server
internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV
internal import MorphServer

/// Which models are served, and how much memory they have together.
struct ServeModelFlags: ParsableArguments {
    @Option(name: [.short, .long], help: "The GGUF model.", completion: .file(extensions: ["gguf"]))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "A folder of GGUF models that are loaded when requests name them, by their files' names without .gguf; with it "
                + "--model is the one of requests that name none."),
        completion: .directory)
    var modelsDir: String?

    @Option(
        help: ArgumentHelp(
            "With --models-dir: bytes that the process stays below, such as 24G; models make room for each other (default: "
                + "what the largest needs)."))
    var memory: ByteCount?

    @Option(help: "With --models-dir: seconds after which a model goes that nobody asked for; 0 for never.")
    var modelIdleTime = 600.0

    @Option(help: "With --models-dir: seconds that a request waits for other models' answers to end.")
    var modelWaitTime = 120.0

    func validate(_ reading: ReadingFlags, hasContexts: Bool) throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ValidationError(what) }
        }
        try require(model != nil || modelsDir != nil, "--model or --models-dir is needed")
        try require((0...1e7).contains(modelIdleTime), "--model-idle-time \(modelIdleTime): 0 to 10 million seconds")
        try require(
            (0.001...1e7).contains(modelWaitTime), "--model-wait-time \(modelWaitTime): 0.001 to 10 million seconds")
        guard modelsDir != nil else { return try require(memory == nil, "--memory is for --models-dir") }
        try require(
            reading.calibration == nil, "--calibration is one model's; in --models-dir each has the one beside it")
        try require(
            !hasContexts, "contexts are of one model: --context and --context-dir cannot be given with --models-dir")
    }

    /// The folder, as the server wants it.
    ///
    /// - Parameters:
    ///   - queue: requests that may wait for their models.
    ///   - options: what a model's scheduler may use.
    func folder(
        _ path: String, _ reading: ReadingFlags, queue: Int,
        options: @escaping @Sendable (Model) throws -> ServingOptions
    ) throws -> ModelFolder {
        Log.setVerbose(reading.verbose)
        var folder = ModelFolder(URL(fileURLWithPath: path, isDirectory: true), options: options)
        folder.usual = model.map { URL(fileURLWithPath: $0) }
        folder.memory = memory?.bytes
        folder.idleTime = modelIdleTime == 0 ? nil : .seconds(modelIdleTime)
        folder.waitTime = .seconds(modelWaitTime)
        folder.queueLimit = queue
        folder.reading = .init(
            devices: try reading.deviceFlags.devices(), split: try reading.deviceFlags.shares(),
            contextLength: reading.contextLength, repacks: !reading.noRepack)
        return folder
    }

    /// What is said of the models when the server starts.
    func announcement(_ memory: FolderMemory) -> String {
        let models = memory.models.map { model in
            let size = model.bytes.map { $0 > memory.room ? "\(Output.bytes($0)): too large" : Output.bytes($0) }
            return "  \(model.name): \(size ?? "cannot be used: \(model.problem ?? "")")\n"
        }
        return "\(models.count) models, loaded when they are asked for\n\(models.joined())"
            + "models       \(Output.bytes(memory.room)) (at most, all loaded ones together)\n"
    }
}

/// A number of bytes: a plain one, or one with K, M, G or T behind it (thousands), or Ki, Mi, Gi or Ti (1024s).
struct ByteCount: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        guard let match = argument.wholeMatch(of: /([0-9]+(?:\.[0-9]+)?)([KMGT]?)(i?)B?/.ignoresCase()) else {
            return nil
        }
        let power = ["": 0, "K": 1, "M": 2, "G": 3, "T": 4][match.output.2.uppercased()] ?? 0
        let unit = pow(match.output.3.isEmpty ? 1000.0 : 1024.0, Double(power))
        guard let number = Double(match.output.1), let bytes = Int(exactly: (number * unit).rounded()), bytes > 0 else {
            return nil
        }
        self.bytes = bytes
    }
}
#endif
