internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

/// Flags about the model and the machine, shared by all commands that run one.
struct ModelFlags: ParsableArguments {
    @Option(
        name: [.short, .long], help: "The GGUF model, or diary or logbook, which come with the command.",
        completion: .file(extensions: ["gguf"]))
    var model: String

    @OptionGroup var reading: ReadingFlags

    var calibration: String? { reading.calibration }
    var threadFlags: ThreadFlags { reading.threadFlags }
    var contextLength: Int? { reading.contextLength }
    var noRepack: Bool { reading.noRepack }
    var verbose: Bool { reading.verbose }

    func load() throws -> Model { try reading.load(model) }

    var threadCount: Int { threadFlags.count }
}

/// Flags about how a model is read, whichever it is.
struct ReadingFlags: ParsableArguments {
    @Option(
        help: "What `morphkv calibrate` learned about the model (default: model.augur.gguf beside model.gguf).",
        completion: .file(extensions: ["gguf"]))
    var calibration: String?

    @OptionGroup var threadFlags: ThreadFlags

    @OptionGroup var deviceFlags: DeviceFlags

    @Option(
        help:
            "The longest context you will use, for models with long and short RoPE factors (default: the trained one).")
    var contextLength: Int?

    @Flag(help: "Leave the weights in the mapped file instead of copying them into a faster layout.")
    var noRepack = false

    @Flag(help: "Show the messages of ggml and libllama, and every message of the server.")
    var verbose = false

    func load(_ model: String) throws -> Model {
        Log.setVerbose(verbose)
        let model = try Model(
            contentsOf: EmbeddedModel.url(named: model), devices: deviceFlags.devices(), split: deviceFlags.shares(),
            contextLength: contextLength, repacks: !noRepack, calibration: calibration.map { URL(fileURLWithPath: $0) })
        // One that was named has to be right, whether it is needed or not.
        if calibration != nil { _ = try model.calibration() }
        return model
    }
}
