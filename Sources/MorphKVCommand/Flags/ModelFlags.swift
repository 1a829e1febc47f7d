internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

/// Flags about the model and the machine, shared by all commands that run one.
struct ModelFlags: ParsableArguments {
    @Option(name: [.short, .long], help: "The GGUF model.", completion: .file(extensions: ["gguf"]))
    var model: String

    @OptionGroup var threadFlags: ThreadFlags

    @Option(help: "The device to compute on, as `morphkv inspect` lists them.")
    var device = "cpu"

    @Option(
        help:
            "The longest context you will use, for models with long and short RoPE factors (default: the trained one).")
    var contextLength: Int?

    @Flag(help: "Leave the weights in the mapped file instead of copying them into a faster layout.")
    var noRepack = false

    @Flag(help: "Show the messages of ggml and libllama, and every message of the server.")
    var verbose = false

    func load() throws -> Model {
        Log.setVerbose(verbose)
        return try Model(
            contentsOf: URL(fileURLWithPath: model), device: .named(device), contextLength: contextLength,
            repacks: !noRepack)
    }

    var threadCount: Int { threadFlags.count }
}
