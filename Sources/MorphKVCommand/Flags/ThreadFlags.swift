internal import ArgumentParser
internal import MorphKV

/// The flag for the number of CPU threads.
struct ThreadFlags: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: "CPU threads (default: all cores that the process may use; of serve all but one, of the demo 1).")
    var threads: Int?

    /// The number of threads where all cores are the default.
    var count: Int { threads ?? Processors.usable }
}
