internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

/// The models that come with the command; their calibrations lie beside them.
enum EmbeddedModel: String {
    case diary
    case logbook

    /// Where it is: in the resources beside the command where it was built, in `share/morphkv` where it was installed.
    ///
    /// - Throws: `ValidationError` if neither is there, for instance because the command alone was moved.
    func url() throws -> URL {
        let name = "\(rawValue).gguf"
        let beside = Bundle.main.bundleURL
        let bundles = ["resources", "bundle"].map { beside.appending(path: "swift-morphkv_MorphKVCommand.\($0)") }
        let installed = beside.deletingLastPathComponent().appending(path: "share/morphkv/\(name)")
        let candidates = bundles.map { $0.appending(path: "Resources/\(name)") } + [installed]
        guard let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw ValidationError(
                "the model '\(rawValue)' is neither \(candidates[0].path) nor \(installed.path); name one with --model")
        }
        return found
    }

    /// The file that a user named, or the model that comes with the command if there is no such file but such a model.
    ///
    /// - Throws: `ValidationError` if that model is not where it was put.
    static func url(named path: String) throws -> URL {
        guard let embedded = EmbeddedModel(rawValue: path), !FileManager.default.fileExists(atPath: path) else {
            return URL(fileURLWithPath: path)
        }
        return try embedded.url()
    }
}

/// Which diary model to run, and how.
struct DemoModelFlags: ParsableArguments {
    @Option(
        name: [.short, .long], help: "A diary model other than the embedded one, as Training/ makes them.",
        completion: .file(extensions: ["gguf"]))
    var model: String?

    @Option(
        help: "What `morphkv calibrate` learned about the model (default: model.augur.gguf beside model.gguf).",
        completion: .file(extensions: ["gguf"]))
    var calibration: String?

    @OptionGroup var threadFlags: ThreadFlags

    @Option(help: "The device to compute on, as `morphkv inspect` lists them.")
    var device = "cpu"

    @Option(
        help: "Answers to write at the same time (default: 1, of `demo` on the CPU one for each core, but at most 4).")
    var parallel: Int?

    @Option(help: "Seed of the prompts; training looked at none of seed 8.")
    var seed: UInt32 = 8

    /// CPU threads for each answer; more than one does not help so small a model.
    var threads: Int { threadFlags.threads ?? 1 }

    func validate() throws {
        for (name, value) in [("--threads", threads), ("--parallel", parallel ?? 1)] where value < 1 {
            throw ValidationError("\(name) \(value): 1 or more is needed")
        }
    }

    func load() throws -> Model {
        let model = try Model(
            contentsOf: model.map { try EmbeddedModel.url(named: $0) } ?? EmbeddedModel.diary.url(),
            device: .named(device),
            calibration: calibration.map { URL(fileURLWithPath: $0) })
        // One that was named has to be right, whether it is needed or not.
        if calibration != nil { _ = try model.calibration() }
        return model
    }
}
