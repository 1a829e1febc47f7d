internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Repeats recorded runs: which positions a policy keeps, step by step.",
        discussion: """
            Prints the runs as they happen here, or with --check how they differ from the recording. Smaller types of \
            stored keys and values than f32 decide near-ties differently.
            """)

    @Argument(help: "Trace files in the format kv-eviction-trace/1.", completion: .file(extensions: ["json"]))
    var traces: [String]

    @Option(name: [.short, .long], help: "The GGUF model (default: the one the trace names, beside the trace).")
    var model: String?

    @Option(help: "The model's calibration (default: model.augur.gguf beside model.gguf).", completion: .file())
    var calibration: String?

    @Flag(help: "Compare with the recording and fail if it differs.")
    var check = false

    @Option(help: "By how much a logit may differ.")
    var tolerance: Float = 1e-3

    @OptionGroup var types: CacheTypeFlags
    @OptionGroup var attention: AttentionFlags

    @OptionGroup var threadFlags: ThreadFlags

    @OptionGroup var deviceFlags: DeviceFlags

    func run() throws {
        var failures = 0
        let devices = try deviceFlags.devices()
        for path in traces {
            let url = URL(fileURLWithPath: path)
            let trace = try Trace(contentsOf: url)
            let modelURL =
                model.map { URL(fileURLWithPath: $0) }
                ?? url.deletingLastPathComponent().appendingPathComponent(trace.model)
            let options = try types.options(trace.cachePolicy(), default: .f32, attention: attention.path())
            let model = try Model(
                contentsOf: modelURL, devices: devices, split: deviceFlags.shares(),
                calibration: calibration.map { URL(fileURLWithPath: $0) })
            let run = try trace.rerun(model, options, threads: threadFlags.count)
            guard check else {
                try Output.printJSON(run)
                continue
            }
            let differences = trace.differences(from: run, tolerance: tolerance)
            print("\(differences.isEmpty ? "ok  " : "DIFF") \(url.lastPathComponent)")
            for line in differences.prefix(5) { print("     \(line)") }
            failures += differences.isEmpty ? 0 : 1
        }
        guard failures == 0 else { throw ExitCode(1) }
    }
}
