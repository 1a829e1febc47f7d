internal import ArgumentParser
internal import Foundation

/// The flag for the number of CPU threads.
struct ThreadFlags: ParsableArguments {
    @Option(name: [.short, .long], help: "CPU threads (default: all cores; of serve all but one, of the demo 1).")
    var threads: Int?

    /// The number of threads where all cores are the default.
    var count: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }
}
